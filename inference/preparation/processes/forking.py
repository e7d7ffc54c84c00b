"""The service's side of the fork server."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from inference.preparation.processes.fork_server import FORK, KILL, PID
from inference.preparation.processes.framing import RECV_BYTES, Frames
from model.encoder import Preprocessing

# One thread for libraries that compute: the fork server may have no other threads, and each
# process decodes in threads of its own. Few arenas: each holds memory that is free.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}
CODE = "import sys; sys.path[:] = {path!r}; from {module} import main; main({descriptor}, {way!r})"
# The running interpreter, even if its path is closed to this user. Only on Linux.
INTERPRETER = "/proc/self/exe"
MODULE = f"{__package__}.fork_server"


class Event(NamedTuple):
    """kind: `born`, `died` or `failed`. status: of `waitpid`, for `died`; reason: for `failed`."""

    kind: str
    pid: int = 0
    status: int = 0
    reason: str = ""


class ForkServer:
    """A started fork server. It ends with this object's `close`, or with this process.

    way: what its processes will do most; it imports what that needs.
    """

    def __init__(self, way: Preprocessing) -> None:
        self.connection, theirs = socket.socketpair()
        with theirs:
            code = CODE.format(
                path=sys.path, module=MODULE, descriptor=theirs.fileno(), way=pickle.dumps(way)
            )
            self._process = subprocess.Popen(  # noqa: S603 - this program, no user input
                [sys.executable, "-c", code],
                executable=INTERPRETER if Path(INTERPRETER).exists() else None,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=os.environ | ENVIRONMENT,  # noqa: TID251 - passed on, not read
            )
        self.pid, self._way = self._process.pid, way
        self._frames, self._is_ready = Frames(), False

    def fork(self, connection: socket.socket, memory: int) -> None:
        """Ask for a process. connection: its end; memory: the descriptor of its memory."""
        with suppress(OSError):  # it has ended; `events` says so
            socket.send_fds(self.connection, [FORK], [connection.fileno(), memory])

    def another(self) -> ForkServer:
        """Return a new one for the same."""
        return ForkServer(self._way)

    def kill(self, pid: int) -> None:
        """End a process, if it is still there."""
        with suppress(OSError):  # it has ended; `events` says so
            self.connection.sendall(KILL + PID.pack(pid))

    def events(self) -> Iterator[Event]:
        """Yield what has happened. Raises EOFError when the fork server has ended."""
        try:
            data = self.connection.recv(RECV_BYTES)
        except OSError as exc:
            raise EOFError from exc
        if not data:
            raise EOFError
        self._is_ready = True
        for message in self._frames.feed(data):
            kind, *facts = json.loads(message)
            yield Event(kind, reason=facts[0]) if kind == "failed" else Event(kind, *facts)

    def close(self) -> None:
        """End it and all its processes, and wait until it has ended."""
        self.connection.close()
        if not self._is_ready:  # it has no processes, and does not listen yet
            self._process.kill()
        self._process.wait()
