"""Positions and labels on the axes of a chart, for terminal and page. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence


def logarithmic(xs: Sequence[float]) -> Callable[[float], float]:
    """Return a map from x > 0 to 0 (the least) .. 1 (the greatest); 0.5 for a single x."""
    low, high = math.log2(min(xs)), math.log2(max(xs))
    return lambda x: (math.log2(x) - low) / (high - low) if high > low else 0.5


def round_numbers(top: float) -> list[float]:
    """Return about four round numbers from 0 up to `top` > 0."""
    raw = top / 4
    unit = 10 ** math.floor(math.log10(raw))
    step = unit * next(m for m in (1, 2, 5, 10) if m * unit >= raw)
    return [step * index for index in range(int(top / step) + 1)]


def labelled(xs: Sequence[float]) -> list[float]:
    """Return the xs to label on a logarithmic axis: powers of two, or all if there are none."""
    found = sorted(set(xs))
    return [x for x in found if math.log2(x).is_integer()] or found
