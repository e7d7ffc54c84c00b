"""Charts of a page as data: HTML that `drawing/charts.js` turns into pictures. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any, Literal

from inference.loadtest.summary import percentile

# A chart compares; with fewer points than this there is nothing to compare.
FEWEST_POINTS = 2
# Values of a distribution that are drawn; more are thinned evenly.
DRAWN_VALUES = 400

# Colours by meaning; the page's style says what they are, in light and in dark.
Tone = Literal["measured", "fitted", "flat", "chosen", "target", "quiet"]


@dataclass(frozen=True)
class Axis:
    """label: with its unit. scale: linear begins at 0; on log every value is > 0.

    ticks: values with a number beside them; round numbers if empty. most: where a linear axis ends;
    above the greatest value if None.
    """

    label: str
    scale: Literal["linear", "log"] = "linear"
    ticks: Sequence[float] = ()
    most: float | None = None


@dataclass(frozen=True)
class Point:
    """said: what hover shows, in lines. low, high: ends of the range that is drawn through it."""

    x: float
    y: float
    said: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """Points in ascending order of x. tone: its colour; the next one that is free if None.

    form: `line` has dots on its points, `dots` no line, `curve` and `dashed` no dots.
    """

    name: str
    points: Sequence[Point]
    form: Literal["line", "dots", "curve", "dashed"] = "line"
    tone: Tone | None = None


@dataclass(frozen=True)
class Rule:
    """A line across the chart: vertical at an x, or horizontal at a y, with its label."""

    label: str
    x: float | None = None
    y: float | None = None
    tone: Tone = "chosen"


@dataclass(frozen=True)
class Sample:
    """A distribution. values: measurements in any order, at least one. said: what hover shows."""

    name: str
    values: Sequence[float] = field(repr=False)
    said: str


@dataclass(frozen=True)
class Bar:
    """A horizontal bar from 0. value: >= 0. shown: the text after it."""

    name: str
    value: float
    shown: str
    tone: Tone = "measured"


def chart(
    title: str, x: Axis, y: Axis, series: Sequence[Series], rules: Sequence[Rule] = ()
) -> str:
    """Return the HTML of a chart of lines and dots; empty if its points are too few to compare."""
    shown = {(point.x, point.y) for one in series if one.form != "dashed" for point in one.points}
    if len(shown) < FEWEST_POINTS:
        return ""
    tones = _tones(series)
    drawn = [asdict(one) | {"tone": tone} for one, tone in zip(series, tones, strict=True)]
    data = {"x": asdict(x), "y": asdict(y), "series": drawn}
    keys = [(one.name, tone, one.form) for one, tone in zip(series, tones, strict=True)]
    return _figure("chart", title, data | {"rules": [asdict(one) for one in rules]}, keys)


def strips(title: str, x: Axis, samples: Sequence[Sample]) -> str:
    """Return the HTML of distributions, one below the other: each value, p50 and p95."""
    if not samples:
        return ""
    drawn = [
        {"name": one.name, "values": _thinned(one.values), "said": one.said}
        | {"p50": percentile(one.values, 50), "p95": percentile(one.values, 95)}
        for one in samples
    ]
    return _figure("strips", title, {"x": asdict(x), "samples": drawn})


def bars(title: str, x: Axis, drawn: Sequence[Bar]) -> str:
    """Return the HTML of bars, one below the other; empty if they are too few to compare."""
    if len(drawn) < FEWEST_POINTS:
        return ""
    return _figure("bars", title, {"x": asdict(x), "bars": [asdict(one) for one in drawn]})


def _figure(
    kind: str, title: str, data: dict[str, Any], keys: Sequence[tuple[str, str, str]] = ()
) -> str:
    # No text in JSON may end the script element that holds it.
    safe = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    legend = "".join(
        f"<li><i class='{form}' style='--tone: var(--{tone})'></i>{escape(name)}</li>"
        for name, tone, form in keys
    )
    return (
        f"<figure class='{kind}' data-kind='{kind}'><figcaption>{escape(title)}</figcaption>"
        + (f"<ul class='keys'>{legend}</ul>" if len(keys) > 1 else "")
        + f"<script type='application/json'>{safe}</script><div class='drawn'></div></figure>"
    )


def _tones(series: Sequence[Series]) -> list[str]:
    """Return the colour of each series: its own, or the next of the eight in the style."""
    found, free = [], 0
    for one in series:
        found.append(one.tone or f"series-{free % 8 + 1}")
        free += one.tone is None
    return found


def _thinned(values: Sequence[float]) -> list[float]:
    """Return at most DRAWN_VALUES values in ascending order, the least and greatest among them."""
    ordered = sorted(values)
    if len(ordered) <= DRAWN_VALUES:
        return ordered
    step = (len(ordered) - 1) / (DRAWN_VALUES - 1)
    return [ordered[round(index * step)] for index in range(DRAWN_VALUES)]
