"""Medians with their range, and ratios within a round. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """Median, minimum and maximum of several measurements."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        """Format as a table cell."""
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


def spread(values: Sequence[float]) -> Spread:
    """Summarise at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def ratios(rounds: Sequence[Mapping[str, float]], base: str) -> dict[str, Spread]:
    """Return the ratios to `base` within rounds: drift of the machine affects both alike.

    Skips rounds where either is missing or base is 0; leaves out names without any ratio.
    """
    found: dict[str, list[float]] = {}
    for one in rounds:
        if one.get(base):
            for name, value in one.items():
                found.setdefault(name, []).append(value / one[base])
    return {name: spread(values) for name, values in found.items()}
