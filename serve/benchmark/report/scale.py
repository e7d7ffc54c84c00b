"""Where numbers stand on the axes of a chart, in the terminal or on a page. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence


def logarithmic(xs: Sequence[float]) -> Callable[[float], float]:
    """From an x > 0 to its place between the least (0) and the greatest (1); alone it is 0.5."""
    low, high = math.log2(min(xs)), math.log2(max(xs))
    return lambda x: (math.log2(x) - low) / (high - low) if high > low else 0.5


def round_numbers(top: float) -> list[float]:
    """Some four round numbers from 0 up to `top` > 0."""
    raw = top / 4
    unit = 10 ** math.floor(math.log10(raw))
    step = unit * next(m for m in (1, 2, 5, 10) if m * unit >= raw)
    return [step * index for index in range(int(top / step) + 1)]


def labelled(xs: Sequence[float]) -> list[float]:
    """Those worth a number on a logarithmic axis: the powers of two, or all without any."""
    found = sorted(set(xs))
    return [x for x in found if math.log2(x).is_integer()] or found
