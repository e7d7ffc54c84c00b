"""Name look-ups, bounded in number and time. One under way cannot be cancelled, only given up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from inference.errors import FetchDns

# A name and a port to addresses: IPv4 or IPv6, as text.
Resolver = Callable[[str, int], list[str]]
# Resolvers give a dead name up after some 10 to 30 s; until then it holds its place.
LOOKUPS = 64


def system_resolver(host: str, port: int) -> list[str]:
    """Look a name up as the operating system does, both families, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class NameLookups:
    """Looks names up in threads of its own. Who asks for a name that is under way waits for that.

    So a name whose servers are dead takes one place, however many thumbnails it has. Nothing is
    remembered: connections are kept instead, and an old address would be checked for nothing.
    """

    def __init__(self, resolver: Resolver = system_resolver, lookups: int = LOOKUPS) -> None:
        self._resolver = resolver
        self._places = threading.BoundedSemaphore(lookups)
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, int], Future[list[str]]] = {}

    def addresses(self, host: str, port: int, timeout_s: float) -> list[str]:
        """Look up the addresses of a host, at least one.

        Raises:
            FetchDns: it has none, or cannot be looked up now, or not within `timeout_s`.
        """
        limit_s = time.monotonic() + timeout_s
        future = self._look_up(host, port, timeout_s)
        try:
            addresses = future.result(max(0.0, limit_s - time.monotonic()))
        except TimeoutError as exc:
            raise FetchDns(f"the name {host} was not looked up in time", retryable=True) from exc
        except socket.gaierror as exc:
            passing = exc.errno == socket.EAI_AGAIN
            raise FetchDns(f"the name {host} cannot be resolved", retryable=passing) from exc
        except (OSError, UnicodeError) as exc:
            raise FetchDns(f"the name {host} cannot be resolved") from exc
        if not addresses:
            raise FetchDns(f"the name {host} has no address")
        return addresses

    def _look_up(self, host: str, port: int, timeout_s: float) -> Future[list[str]]:
        """The look-up of this name that is under way, or a new one once there is a place."""
        key = (host, port)
        with self._lock:
            if (future := self._under_way.get(key)) is not None:
                return future
            future = self._under_way[key] = Future()
        if self._places.acquire(timeout=max(0.0, timeout_s)):
            self._start(key, future)
        else:
            self._end(key, future, TimeoutError())
        return future

    def _start(self, key: tuple[str, int], future: Future[list[str]]) -> None:
        # A daemon: the process does not wait at its end for a name server.
        thread = threading.Thread(target=self._run, args=(key, future), name="lookup", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system gives no more threads
            self._places.release()
            self._end(key, future, TimeoutError())

    def _run(self, key: tuple[str, int], future: Future[list[str]]) -> None:
        try:
            found: list[str] | Exception = self._resolver(*key)
        except Exception as exc:  # noqa: BLE001 - it is raised in the thread that asked
            found = exc
        self._places.release()
        self._end(key, future, found)

    def _end(
        self, key: tuple[str, int], future: Future[list[str]], found: list[str] | Exception
    ) -> None:
        with self._lock:
            del self._under_way[key]
        if isinstance(found, Exception):
            future.set_exception(found)
        else:
            future.set_result(found)
