"""Retry times of refused clients: each client gets its own, so they do not all retry at once.

A refusal costs 1.4 ms of a core, which the encoder also needs. If 192 refused clients retried
every second, they would cost 0.3 of a core, and more clients would cost more. So retry times are
spaced, at a rate that follows the rate at which request places become free.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

# Bounds of the wait: clients ignore a longer one, and a shorter one only causes refusals.
LEAST_S, MOST_S = 1.0, 10.0
# The lowest rate of retries, which costs 3 % of a core; and the retries for each place that
# becomes free, so that no place stays empty.
RETURNS_PER_S, RETURNS_PER_PLACE = 20.0, 2.0
# The rate at which places become free is averaged over about this time.
MEMORY_S = 5.0


class RetryTimes:
    """Gives each refused client a retry time, in s of `clock`. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last_s = 0.0
        # Freed places with exponential decay: MEMORY_S times their rate, once that is steady.
        self._freed = 0.0
        self._freed_s = clock()

    def freed(self) -> None:
        """Record that a request was answered and its place is free."""
        with self._lock:
            now_s = self._clock()
            self._freed = 1 + self._remembered(now_s)
            self._freed_s = now_s

    def next_ms(self) -> int:
        """Return how long the client that is refused now should wait, ms."""
        with self._lock:
            now_s = self._clock()
            freed_per_s = self._remembered(now_s) / MEMORY_S
            rate_per_s = max(RETURNS_PER_S, RETURNS_PER_PLACE * freed_per_s)
            due_s = max(now_s + LEAST_S, self._last_s + 1 / rate_per_s)
            self._last_s = min(due_s, now_s + MOST_S)
            return round(1000 * (self._last_s - now_s))

    def _remembered(self, now_s: float) -> float:
        return self._freed * math.exp((self._freed_s - now_s) / MEMORY_S)
