"""DNS look-ups, bounded in number and time. A running one cannot be cancelled, only abandoned."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from inference.errors import FetchDns

# Maps a name and a port to addresses: IPv4 or IPv6, as text.
Resolver = Callable[[str, int], list[str]]
# The most look-ups at once. Resolvers give up on a dead name only after some 10 to 30 s.
LOOKUPS = 64


def system_resolver(host: str, port: int) -> list[str]:
    """Look up a name by the operating system: IPv4 and IPv6, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class NameLookups:
    """Looks up names in its own threads. Callers of the same name share one running look-up.

    So a name with dead name servers takes one place, however many thumbnails use it. Addresses are
    not cached: connections are kept alive instead, and a cached address could be out of date.
    """

    def __init__(self, resolver: Resolver = system_resolver, lookups: int = LOOKUPS) -> None:
        self._resolver = resolver
        self._places = threading.BoundedSemaphore(lookups)
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, int], Future[list[str]]] = {}

    def addresses(self, host: str, port: int, timeout_s: float) -> list[str]:
        """Look up the addresses of a host, at least one.

        Raises:
            FetchDns: it has none, or the look-up failed or took longer than `timeout_s`.
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
        """Return the running look-up of this name, or start one once a place is free."""
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
        # A daemon thread: the process does not wait for a name server when it exits.
        thread = threading.Thread(target=self._run, args=(key, future), name="lookup", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system allows no more threads
            self._places.release()
            self._end(key, future, TimeoutError())

    def _run(self, key: tuple[str, int], future: Future[list[str]]) -> None:
        try:
            found: list[str] | Exception = self._resolver(*key)
        except Exception as exc:  # noqa: BLE001 - raised in the calling thread
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
