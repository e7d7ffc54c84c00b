"""One thread that shuts sockets whose time is over, from outside.

A socket's own time-out is for one read; a server that sends a byte now and then never meets it,
in headers, chunk sizes or a body. Shutting the socket ends whatever read is under way.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Fuse:
    """The sockets of one operation. Shared by its thread and the watchdog's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._burnt = False

    def watch(self, connection: socket.socket) -> None:
        """Shut this connection, too, when the time is over.

        A duplicate of its descriptor is kept: TLS takes the original over, and a duplicate stays
        this connection's even when the original was closed and its number used again.
        """
        duplicate = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            self._sockets.append(duplicate)
            burnt = self._burnt
        if burnt:
            self.burn()

    def burn(self) -> None:
        """Shut all that is watched, and what will be."""
        with self._lock:
            self._burnt = True
            for one in self._sockets:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Watch nothing any more."""
        with self._lock:
            for one in self._sockets:
                one.close()
            self._sockets.clear()


class Watchdog:
    """Burns fuses at their instant. Its thread lives until `close`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # As many as threads that fetch: looking through all of them is quick.
        self._limits_s: dict[Fuse, float] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._thread.start()

    @contextmanager
    def limit(self, limit_s: float) -> Iterator[Fuse]:
        """A fuse that burns at `limit_s`, an instant of `time.monotonic`, unless the block ends."""
        fuse = Fuse()
        with self._changed:
            self._limits_s[fuse] = limit_s
            self._changed.notify()
        try:
            yield fuse
        finally:
            with self._changed:
                self._limits_s.pop(fuse, None)
            fuse.release()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while fuse := self._next_due():
            fuse.burn()

    def _next_due(self) -> Fuse | None:
        """Wait for a fuse whose instant has come, and take it out. None when closing."""
        with self._changed:
            while not self._closing:
                now_s = time.monotonic()
                fuse = min(self._limits_s, key=self._limits_s.__getitem__, default=None)
                if fuse is None:
                    self._changed.wait()
                elif self._limits_s[fuse] <= now_s:
                    del self._limits_s[fuse]
                    return fuse
                else:
                    self._changed.wait(self._limits_s[fuse] - now_s)
        return None
