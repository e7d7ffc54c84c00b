"""SVG charts for an HTML page: lines over a logarithmic x axis, and bars. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from serve.benchmark.report.scale import labelled, logarithmic, round_numbers

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 30, 40
FLOOR = HEIGHT - BOTTOM
BAR_LEFT, BAR_ROW = 110, 34
STYLE = """
svg { margin: 0 .8em .8em 0; vertical-align: top }
text { font: 11px system-ui, sans-serif; fill: #566 }
.title { font-size: 13px; font-weight: 600; fill: #1c2330 } .axis { stroke: #ccd }
.measured { fill: #2563eb } .whisker { stroke: #2563eb; opacity: .45 }
.line { fill: none; stroke: #f59e0b; stroke-width: 2 } .chosen { stroke: #16a34a; stroke-width: 2 }
.target { stroke: #dc2626; stroke-dasharray: 5 4 } .note { fill: #16a34a; font-weight: 600 }
.bar { fill: #2563eb } .track { fill: #e5e9f0 }
.red { fill: #dc2626 } .note, .red { paint-order: stroke; stroke: #fff; stroke-width: 3px }
"""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Plot:
    """The axes. xs: every x to draw, > 0. top: the greatest y that fits, > 0."""

    title: str
    x_label: str
    xs: Sequence[float]
    top: float

    def x(self, value: float) -> float:
        """Return the distance from the left, px."""
        width = WIDTH - LEFT - RIGHT - 16
        return LEFT + 8 + width * logarithmic(self.xs)(value)

    def y(self, value: float) -> float:
        """Return the distance from the top, px."""
        return FLOOR - (FLOOR - TOP) * max(0.0, value) / self.top

    def line(self, points: Points, colour: str = "") -> str:
        """Return a line through the points."""
        style = f" style='stroke: {colour}'" if colour else ""
        places = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        return f"<polyline class='line'{style} points='{places}'/>"

    def dots(self, points: Points, colour: str = "") -> str:
        """Return a dot on each point."""
        style = f" style='fill: {colour}'" if colour else ""
        return "".join(
            f"<circle class='measured'{style} cx='{self.x(x):.1f}' cy='{self.y(y):.1f}' r='3.5'/>"
            for x, y in points
        )

    def whiskers(self, ranges: Sequence[tuple[float, float, float]]) -> str:
        """Return a vertical bar for each (x, lowest y, highest y)."""
        return "".join(
            f"<line class='whisker' x1='{self.x(x):.1f}' x2='{self.x(x):.1f}' "
            f"y1='{self.y(low):.1f}' y2='{self.y(high):.1f}'/>"
            for x, low, high in ranges
        )

    def chosen(self, value: float, label: str) -> str:
        """Return a vertical line through an x, with its label beside it."""
        x = self.x(value)
        anchor, shift = ("end", -6) if x > WIDTH / 2 else ("start", 6)
        return (
            f"<line class='chosen' x1='{x:.1f}' x2='{x:.1f}' y1='{TOP}' y2='{FLOOR}'/>"
            f"<text class='note' x='{x + shift:.1f}' y='{TOP + 12}' text-anchor='{anchor}'>"
            f"{escape(label)}</text>"
        )

    def target(self, value: float | None) -> str:
        """Return a horizontal line at a latency target in ms; nothing for None."""
        if value is None:
            return ""
        y = self.y(value)
        return (
            f"<line class='target' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y:.1f}' y2='{y:.1f}'/>"
            f"<text class='red' x='{LEFT + 6}' y='{y - 4:.1f}'>target {value:g} ms</text>"
        )

    def svg(self, drawn: str) -> str:
        """Return the whole chart: title, axes, and `drawn`."""
        rows = "".join(
            f"<line class='axis' x1='{LEFT}' x2='{WIDTH - RIGHT}' "
            f"y1='{self.y(v):.1f}' y2='{self.y(v):.1f}'/>"
            f"<text x='{LEFT - 6}' y='{self.y(v) + 4:.1f}' text-anchor='end'>{v:g}</text>"
            for v in round_numbers(self.top)
        )
        columns = "".join(
            f"<text x='{self.x(n):.1f}' y='{FLOOR + 16}' text-anchor='middle'>{n:g}</text>"
            for n in labelled(self.xs)
        )
        return (
            f"<svg width='{WIDTH}' height='{HEIGHT}' role='img' aria-label='{escape(self.title)}'>"
            f"<text class='title' x='{LEFT}' y='16'>{escape(self.title)}</text>{rows}{columns}"
            f"{drawn}<text x='{(LEFT + WIDTH - RIGHT) / 2}' y='{HEIGHT - 6}' text-anchor='middle'>"
            f"{escape(self.x_label)}</text></svg>"
        )


@dataclass(frozen=True)
class Bar:
    """A horizontal bar. share: of the whole width, 0..1. value: the text after it."""

    name: str
    share: float
    value: str


def bars(title: str, drawn: Sequence[Bar]) -> str:
    """Return a chart of horizontal bars, one below the other."""
    width, height = WIDTH - BAR_LEFT - BOTTOM - RIGHT, TOP + len(drawn) * BAR_ROW
    rows = "".join(
        f"<text x='{BAR_LEFT - 8}' y='{y + 16}' text-anchor='end'>{escape(one.name)}</text>"
        f"<rect class='track' x='{BAR_LEFT}' y='{y}' width='{width}' height='22' rx='3'/>"
        f"<rect class='bar' x='{BAR_LEFT}' y='{y}' width='{one.share * width:.1f}' height='22' "
        f"rx='3'/><text x='{BAR_LEFT + width + 8}' y='{y + 16}'>{escape(one.value)}</text>"
        for y, one in zip(range(TOP, height, BAR_ROW), drawn, strict=True)
    )
    return (
        f"<svg width='{WIDTH}' height='{height}' role='img' aria-label='{escape(title)}'>"
        f"<text class='title' x='0' y='16'>{escape(title)}</text>{rows}</svg>"
    )
