"""A process with one thread that forks the preparing processes, so that each takes milliseconds.

It has imported all that they need, and shares that memory with them. Forking the service itself
would be slow and unsafe: it has many threads, and a model. When the service ends, however that
happens, its end of the connection is closed; the fork server then ends all processes and itself.

The service sends one letter for each command:

    f + 2 descriptors   fork; they are the connection and the memory of the new process
    k + process id      end a process, as 4 bytes

The fork server answers by messages of JSON: `["born", pid]`, `["died", pid, status]` as of
`waitpid`, and `["failed", reason]` when it could not fork. A new process gets its `Setup` by its
connection.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import pickle
import signal
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from inference.fetching.transport import tls_context
from inference.preparation.processes.child import serve
from inference.preparation.processes.framing import framed
from model.encoder import Preprocessing

FORK, KILL = b"f", b"k"
PID = struct.Struct("<I")
# Linux' prctl: signal at the parent's end; name of the process, at most 15 characters.
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
# When memory runs out, the kernel ends a preparing process and not the service: 0 to 1000.
OOM_SCORE = 500
# A picture of one pixel, as GIF.
PIXEL = bytes.fromhex(
    "47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b"
)


def main(descriptor: int, way: bytes) -> NoReturn:
    """Serve one service. descriptor: of the connection to it. way: a pickled `Preprocessing`."""
    # Ctrl-C and SIGTERM may be sent to the whole group; the service decides when its helpers end.
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    _name("sweetspot-fork")
    prepare: Preprocessing = pickle.loads(way)  # noqa: S301 - from the service
    prepare(PIXEL)  # imports what it needs
    tls_context()
    gc.collect()
    gc.freeze()  # otherwise a collection writes to pages that could stay shared
    _ForkServer(socket.socket(fileno=descriptor)).run()


class _ForkServer:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._alive: set[int] = set()

    def run(self) -> NoReturn:
        signal.signal(signal.SIGCHLD, self._reap)
        with suppress(ConnectionError):  # the service was killed before it read what it was told
            while self._obey():
                pass
        self._end()

    def _obey(self) -> bool:
        """Wait for a command and obey. Return False once the service has ended."""
        command, descriptors, _, _ = socket.recv_fds(self._control, 1, 2)
        if command == FORK:
            self._fork(*descriptors)
        elif command == KILL:
            self._kill(*PID.unpack(self._control.recv(PID.size, socket.MSG_WAITALL)))
        return bool(command)

    def _fork(self, connection: int, memory: int) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        try:
            pid = os.fork()
            if pid == 0:
                self._become_child(connection, memory)
            self._alive.add(pid)
            self._tell("born", pid)
        except OSError as exc:
            self._tell("failed", exc.strerror)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            os.close(connection)
            os.close(memory)

    def _become_child(self, connection: int, memory: int) -> NoReturn:
        code = 1
        try:
            self._control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            _end_with_parent()
            _prefer_for_oom()
            _name("sweetspot-prep")
            with suppress(ConnectionError):  # the service has ended
                serve(socket.socket(fileno=connection), memory)
            code = 0
        except BaseException:  # noqa: BLE001 - nothing may return into the fork server
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)  # not sys.exit, which waits for threads

    def _kill(self, pid: int) -> None:
        if pid in self._alive:
            os.kill(pid, signal.SIGKILL)

    def _reap(self, *_: object) -> None:
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = found
                self._alive.discard(pid)
                self._tell("died", pid, status)

    def _tell(self, *event: object) -> None:
        with suppress(OSError):  # the service has ended
            self._control.sendall(framed(json.dumps(event).encode()))

    def _end(self) -> NoReturn:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for pid in self._alive:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)


def _end_with_parent() -> None:
    """Have the kernel end this process with the fork server. Only on Linux."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _prefer_for_oom() -> None:
    """Have the kernel end this process before the service. Only on Linux."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), encoding="ascii")


def _name(name: str) -> None:
    """Name this process in the lists of the system."""
    _prctl(PR_SET_NAME, name.encode())


def _prctl(option: int, value: int | bytes) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
