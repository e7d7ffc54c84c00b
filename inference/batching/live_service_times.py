"""Service times while serving: what batches take now, against the curve of the tuning."""

from __future__ import annotations

import statistics
from collections import Counter, deque
from dataclasses import dataclass

from inference.profile.curve import Curve

# Batches that the present is judged by, and how many of them it takes to judge.
RECENT = 64
ENOUGH = 16


@dataclass(frozen=True)
class BatchTimes:
    """All batches of one size: how many, and the median of the recent ones' service times."""

    count: int
    p50_ms: float


class LiveServiceTimes:
    """The batches of one tower. Not thread-safe: its owner holds a lock. Bounded by the sizes."""

    def __init__(self, curve: Curve | None) -> None:
        self._curve = curve
        self._counts: Counter[int] = Counter()
        self._recent_ms: dict[int, deque[float]] = {}
        self._ratios: deque[float] = deque(maxlen=RECENT)
        self.total_s = 0.0

    def record(self, n: int, service_s: float) -> float | None:
        """A batch of n took this long. Returns that over the curve's time; None without a curve."""
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
        """Live service times over the curve's, the median of recent batches; 1 until enough ran."""
        return statistics.median(self._ratios) if len(self._ratios) >= ENOUGH else 1.0

    def by_size(self) -> dict[int, BatchTimes]:
        """What is known of each batch size that ran, in order."""
        return {
            n: BatchTimes(self._counts[n], statistics.median(times))
            for n, times in sorted(self._recent_ms.items())
        }
