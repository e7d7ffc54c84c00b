"""When those who were refused come again: one after another, not all at once.

A refusal costs 1.4 ms of a core, which the encoder wants, too. Told to come again in a second, 192
clients without a place cost 0.3 of a core, and ever more of them ever more. So each is given an
instant of its own, and these are only as close as there are places to fill.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

# Bounds of the answer: no pause that clients would not keep, none that only makes work.
LEAST_S, MOST_S = 1.0, 10.0
# So many come again per second at least, which is 3 % of a core; and so many for each place that
# falls free, so that none stays free.
RETURNS_PER_S, RETURNS_PER_PLACE = 20.0, 2.0
# How fast places fall free is counted over about this time.
MEMORY_S = 5.0


class RetryTimes:
    """Instants for the refused to come again, in s of `clock`. Safe from many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last_s = 0.0
        # Places that fell free, the older the less: MEMORY_S times their rate, once that is steady.
        self._freed = 0.0
        self._freed_s = clock()

    def freed(self) -> None:
        """A request was answered, and its place is free."""
        with self._lock:
            now_s = self._clock()
            self._freed = 1 + self._remembered(now_s)
            self._freed_s = now_s

    def next_ms(self) -> int:
        """How long the one who is refused now is to wait, ms."""
        with self._lock:
            now_s = self._clock()
            freed_per_s = self._remembered(now_s) / MEMORY_S
            rate_per_s = max(RETURNS_PER_S, RETURNS_PER_PLACE * freed_per_s)
            due_s = max(now_s + LEAST_S, self._last_s + 1 / rate_per_s)
            self._last_s = min(due_s, now_s + MOST_S)
            return round(1000 * (self._last_s - now_s))

    def _remembered(self, now_s: float) -> float:
        return self._freed * math.exp((self._freed_s - now_s) / MEMORY_S)
