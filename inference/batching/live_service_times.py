"""Service times while serving, compared with the curve of the tuning."""

from __future__ import annotations

import statistics
from collections import Counter, deque
from dataclasses import dataclass

from inference.profile.curve import Curve

# `slowdown` covers the last RECENT batches, and needs at least ENOUGH of them.
RECENT = 64
ENOUGH = 16


@dataclass(frozen=True)
class BatchTimes:
    """All batches of one size: how many, and the median of the recent ones' service times."""

    count: int
    p50_ms: float


class LiveServiceTimes:
    """Service times of one tower. Not thread-safe: its owner holds a lock. Bounded by the sizes."""

    def __init__(self, curve: Curve | None) -> None:
        self._curve = curve
        self._counts: Counter[int] = Counter()
        self._recent_ms: dict[int, deque[float]] = {}
        self._ratios: deque[float] = deque(maxlen=RECENT)
        self.total_s = 0.0

    def record(self, n: int, service_s: float) -> float | None:
        """Record a batch of n. Return its time over the curve's; None without a curve."""
        self._counts[n] += 1
        self.total_s += service_s
        self._recent_ms.setdefault(n, deque(maxlen=RECENT)).append(1000 * service_s)
        if self._curve is None:
            return None
        ratio = 1000 * service_s / self._curve.latency_ms(n)
        self._ratios.append(ratio)
        return ratio

    @property
    def slowdown(self) -> float:
        """The median of recent batches' times over the curve's; 1 until ENOUGH have run."""
        return statistics.median(self._ratios) if len(self._ratios) >= ENOUGH else 1.0

    def by_size(self) -> dict[int, BatchTimes]:
        """Return the times of each batch size that ran, in order of size."""
        return {
            n: BatchTimes(self._counts[n], statistics.median(times))
            for n, times in sorted(self._recent_ms.items())
        }
