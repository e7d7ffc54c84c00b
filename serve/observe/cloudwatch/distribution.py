"""Distributions in few numbers, so that CloudWatch can compute percentiles. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

# Most numbers in the array of a metric: "Embedded metric format specification", target members.
MOST = 100
# A bucket's bounds differ by 5 %, so its middle is within 2.5 % of each value in it.
STEP = 0.05
# Bounds of the buckets, and so of their number, in the unit of the values.
LEAST, LARGEST = 1e-3, 1e8


class Distribution:
    """Counts of positive values in buckets of equal ratio. Not thread-safe. At most 507 buckets."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, values: Iterable[float]) -> None:
        """Count values; one beyond the bounds counts as the bound."""
        log = math.log
        self._counts.update(
            [round(log(one if LEAST < one < LARGEST else _bound(one)) / STEP) for one in values]
        )

    def values(self) -> list[float]:
        """Return `spread` of the values, with 3 digits each."""
        counts = {float(f"{math.exp(n * STEP):.3g}"): count for n, count in self._counts.items()}
        return spread(counts)


def _bound(value: float) -> float:
    return LEAST if value <= LEAST else LARGEST


def spread(counts: Mapping[float, int] | Mapping[int, int]) -> list[float]:
    """Return at most MOST numbers, ascending, with the percentiles of the counted values.

    Up to MOST values are all there. Of more, the number at each rank (k + 1/2) / MOST is.
    """
    total = sum(counts.values())
    size = min(total, MOST)
    found: list[float] = []
    below = 0
    for value, count in sorted(counts.items()):
        below += count
        ranks = (2 * below * size + total) // (2 * total)  # those of numbers up to this value
        found += [value] * (ranks - len(found))
    return found
