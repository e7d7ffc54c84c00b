"""A chart in the terminal by plotext: lines over a logarithmic x axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotext
from rich.text import Text

WIDTH, HEIGHT = 60, 15
# One for each line; marks distinguish the lines where there is no colour.
MARKS = "●▲■◆○△□◇"
# The terminal's own, by number: cyan, yellow, magenta, blue, red, white; green is for the choice.
COLOURS = (6, 3, 5, 4, 1, 7)
GREEN, CHOSEN = 2, "bold green"
# Room above the highest point, for the label of the marked x.
HEADROOM = 1.15
# Of each decade, the numbers on a logarithmic axis.
STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Line:
    """points: (x, y) in ascending order of x, x > 0, y >= 0."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Mark:
    """An x to highlight, and its label."""

    x: float
    label: str


def lines(
    title: str,
    x_label: str,
    drawn: Sequence[Line],
    mark: Mark | None = None,
    *,
    is_log_y: bool = False,
) -> Text | None:
    """Draw the lines over each other.

    Args:
        title: what y is, and its unit.
        x_label: what x is.
        drawn: the lines.
        mark: a vertical line at an x.
        is_log_y: y is logarithmic, too, if all its values are above 0.

    Returns:
        Text of WIDTH x HEIGHT, and one more row that names several lines; None when there are fewer
        than two x, so nothing to compare.
    """
    points = [point for line in drawn for point in line.points]
    if len({x for x, _ in points}) < 2:
        return None
    xs, ys = zip(*points, strict=True)
    is_log_y = is_log_y and min(ys) > 0
    top = HEADROOM * (max(ys) or 1.0)
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(WIDTH, HEIGHT)
    plotext.title(title)
    plotext.xlabel(x_label)
    plotext.xscale("log")
    _number("x", _powers_of_two(xs))
    if is_log_y:
        plotext.yscale("log")
        plotext.ylim(math.log10(min(ys) / HEADROOM), math.log10(top))  # limits are not converted
    else:
        plotext.ylim(0, top)
    _number("y", _decades(min(ys), top) if is_log_y else _round_numbers(top))
    if mark:
        _highlight(mark, xs, top)
    for index, line in enumerate(drawn):
        plotext.plot(*_columns(line), marker="braille", color=_colour(index))
        plotext.scatter(*_columns(line), marker=_mark(index), color=_colour(index))
    return Text("\n").join([Text.from_ansi(plotext.build().rstrip()), *_legend(drawn)])


def _columns(line: Line) -> tuple[list[float], list[float]]:
    return [x for x, _ in line.points], [y for _, y in line.points]


def _mark(index: int) -> str:
    return MARKS[index % len(MARKS)]


def _colour(index: int) -> int:
    return COLOURS[index % len(COLOURS)]


def _legend(drawn: Sequence[Line]) -> list[Text]:
    """Return a row that names the lines, when there are several. plotext's own hides points."""
    if len(drawn) < 2:
        return []
    names = [
        Text(f"  {_mark(index)} {line.name}", style=f"color({_colour(index)})")
        for index, line in enumerate(drawn)
    ]
    return [Text("").join(names)]


def _highlight(mark: Mark, xs: Sequence[float], top: float) -> None:
    """Draw the vertical line, with its label on the side where there is room."""
    plotext.vline(mark.x, GREEN)
    is_left = mark.x**2 < min(xs) * max(xs)
    label = f" {mark.label}" if is_left else f"{mark.label} "
    plotext.text(label, mark.x, top, color=GREEN, alignment="left" if is_left else "right")


def _number(axis: str, values: Sequence[float]) -> None:
    """Put numbers on an axis."""
    ticks = plotext.xticks if axis == "x" else plotext.yticks
    ticks(list(values), [f"{value:,.0f}" if value >= 1000 else f"{value:g}" for value in values])


def _powers_of_two(xs: Sequence[float]) -> list[float]:
    """Return the powers of two among the xs, or all if there are none."""
    found = sorted(set(xs))
    return [x for x in found if math.log2(x).is_integer()] or found


def _round_numbers(top: float) -> list[float]:
    """Return about five round numbers from 0 up to `top` > 0."""
    unit = 10.0 ** math.floor(math.log10(top / 4))
    step = next(many * unit for many in (*STEPS, 10) if many * unit >= top / 4)
    return [step * index for index in range(int(top / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 of each decade between two values > 0."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [step * 10.0**power for power in powers for step in STEPS]
    return [value for value in found if low <= value <= high]
