"""How many requests a host gets at once, and when a host that asked for a pause is asked again."""

from __future__ import annotations

import heapq
import re
from collections import defaultdict, deque
from typing import Generic, TypeVar

Row = TypeVar("Row")
# A scheme, a host name and a port are shorter.
MAX_HOST_CHARS = 512


def host_of(url: str | None) -> str:
    """Return host and port of a URL, in lower case; nothing of what has none, such as `data:`."""
    before, _, rest = (url or "")[:MAX_HOST_CHARS].strip().partition("://")
    place = re.split(r"[/?#\\]", rest, maxsplit=1)[0].rpartition("@")[2].lower()
    port = {"http": ":80", "https": ":443"}.get(before.lower(), "")
    return place.removesuffix(port).rstrip(".") if before.isalnum() else ""


class Hosts(Generic[Row]):
    """Rows that wait for their host. Pure: instants are given, in seconds of one clock.

    per_host: requests at once to one host; None is any number.
    """

    def __init__(self, per_host: int | None) -> None:
        self._per_host = per_host
        self._running: dict[str, int] = defaultdict(int)
        self._waiting: dict[str, deque[Row]] = {}
        self._paused_until_s: dict[str, float] = {}
        self._pauses: list[tuple[float, str]] = []
        self._free: deque[str] = deque()

    @property
    def waiting(self) -> int:
        """Rows that wait."""
        return sum(map(len, self._waiting.values()))

    def enter(self, host: str, row: Row, now_s: float) -> bool:
        """Count a request that may start now; else let its row wait. Return whether it may.

        A row without a host may always start.
        """
        if not host:
            return True
        if host not in self._waiting and self._is_free(host, now_s):
            self._running[host] += 1
            return True
        self._waiting.setdefault(host, deque()).append(row)
        return False

    def next(self, now_s: float) -> Row | None:
        """Return a row that waited and whose request may start now; it is counted."""
        while self._pauses and self._pauses[0][0] <= now_s:
            self._free.append(heapq.heappop(self._pauses)[1])
        while self._free:
            host = self._free[0]
            if host in self._waiting and self._is_free(host, now_s):
                return self._taken(host)
            self._free.popleft()
        return None

    def leave(self, host: str) -> None:
        """Count a request that has ended."""
        if not host:
            return
        self._running[host] -= 1
        if not self._running[host]:
            del self._running[host]
        if host in self._waiting:
            self._free.append(host)

    def pause(self, host: str, until_s: float, row: Row) -> None:
        """Start no request to a host before an instant; the row then comes first."""
        until_s = max(until_s, self._paused_until_s.get(host, 0.0))
        self._paused_until_s[host] = until_s
        heapq.heappush(self._pauses, (until_s, host))
        self._waiting.setdefault(host, deque()).appendleft(row)

    def _is_free(self, host: str, now_s: float) -> bool:
        if self._paused_until_s and now_s < self._paused_until_s.get(host, 0.0):
            return False
        return self._per_host is None or self._running.get(host, 0) < self._per_host

    def _taken(self, host: str) -> Row:
        row = self._waiting[host].popleft()
        if not self._waiting[host]:
            del self._waiting[host]
        self._paused_until_s.pop(host, None)
        self._running[host] += 1
        return row
