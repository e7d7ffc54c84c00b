"""Side by side: ratios of what was measured in the same round. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """The middle of several measurements, and the least and the most."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        """As in a table."""
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


def spread(values: Sequence[float]) -> Spread:
    """Of at least one."""
    return Spread(statistics.median(values), min(values), max(values))


def ratios(rounds: Sequence[Mapping[str, float]], base: str) -> dict[str, Spread]:
    """How each compares with `base`, round by round: a machine's drift hits both alike.

    A round where either is missing, or base is 0, says nothing; who has none is left out.
    """
    found: dict[str, list[float]] = {}
    for one in rounds:
        if one.get(base):
            for name, value in one.items():
                found.setdefault(name, []).append(value / one[base])
    return {name: spread(values) for name, values in found.items()}
