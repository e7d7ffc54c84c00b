"""One thread that shuts sockets at their time limit.

A socket's own timeout limits a single read. A server that sends a byte now and then, in headers,
chunk sizes or a body, never reaches it. Shutting the socket ends the running read.
"""

from __future__ import annotations

import math
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
        """Shut this connection too at the time limit.

        Keeps a duplicate of its descriptor: TLS takes over the original, and the duplicate still
        refers to this connection after the original is closed and its number is reused.
        """
        duplicate = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            self._sockets.append(duplicate)
            burnt = self._burnt
        if burnt:
            self.burn()

    def burn(self) -> None:
        """Shut all watched sockets, and those watched later."""
        with self._lock:
            self._burnt = True
            for one in self._sockets:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Stop watching all sockets."""
        with self._lock:
            for one in self._sockets:
                one.close()
            self._sockets.clear()


class Watchdog:
    """Burns fuses at their time limits. Its thread runs until `close`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # At most one per fetching thread, so a linear search is fast.
        self._limits_s: dict[Fuse, float] = {}
        # When the thread wakes by itself. It is woken only for a limit before that.
        self._wakes_s = math.inf
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._thread.start()

    @contextmanager
    def limit(self, limit_s: float) -> Iterator[Fuse]:
        """Yield a fuse that burns at `limit_s` of `time.monotonic`, unless the block ends first."""
        fuse = Fuse()
        with self._changed:
            self._limits_s[fuse] = limit_s
            if limit_s < self._wakes_s:
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
        """Wait for a fuse whose limit has come, and remove it. None when closing."""
        with self._changed:
            while not self._closing:
                fuse = min(self._limits_s, key=self._limits_s.__getitem__, default=None)
                if fuse is None:
                    self._wakes_s = math.inf
                    self._changed.wait()
                    continue
                self._wakes_s = self._limits_s[fuse]
                if (left_s := self._wakes_s - time.monotonic()) <= 0:
                    del self._limits_s[fuse]
                    return fuse
                self._changed.wait(left_s)
        return None
