"""A chart in the terminal: lines of braille dots over a logarithmic x axis. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.text import Text

from serve.benchmark.report.scale import labelled, logarithmic, round_numbers

WIDTH, HEIGHT = 60, 14
# One for each series; marks distinguish the series where there is no colour.
MARKS = "●▲■◆○△□◇"
COLOURS = ("cyan", "yellow", "magenta", "blue", "red", "white")
CHOSEN = "bold green"
# A cell holds 2 x 4 dots; these are their bits in Unicode's braille block.
BRAILLE = 0x2800
BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
# Room above the highest point, for the label of the marked x.
HEADROOM = 1.15


@dataclass(frozen=True)
class Series:
    """A line. points: (x, y) in ascending order of x, x > 0, y >= 0."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Mark:
    """An x to highlight, and its label."""

    x: float
    label: str


def chart(
    title: str,
    x_label: str,
    series: Sequence[Series],
    mark: Mark | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Text:
    """Draw the series over each other.

    Args:
        title: what y is, and its unit.
        x_label: what x is.
        series: at least one point in total.
        mark: a vertical line at an x.
        size: columns and rows of the whole chart; from 30 x 8.

    Returns:
        Text of `size`, and one more row that names the series when there are several.
    """
    xs = [x for one in series for x, _ in one.points] + ([mark.x] if mark else [])
    top = HEADROOM * (max(y for one in series for _, y in one.points) or 1.0)
    numbers = round_numbers(top)
    margin = max(len(_number(value)) for value in numbers) + 2
    canvas = _Canvas(size[0] - margin, size[1] - 4)
    place = logarithmic(xs)
    if mark:
        canvas.rule(place(mark.x), mark.label)
    for index, one in enumerate(series):
        points = [(place(x), y / top) for x, y in one.points]
        canvas.line(points, MARKS[index % len(MARKS)], COLOURS[index % len(COLOURS)])
    heights = {canvas.row(value / top): _number(value) for value in numbers}
    lines = [Text(" " * margin + title, style="bold")]
    for row in range(canvas.rows):
        number = heights.get(row, "")
        axis = f"{number:>{margin - 2}} {'┤' if number else '│'}"
        lines.append(Text.assemble((axis, "dim"), canvas.text(row)))
    lines += _x_axis(xs, place, canvas, margin)
    lines.append(Text(" " * margin + x_label.center(canvas.columns).rstrip(), style="dim"))
    return Text("\n").join([*lines, *_legend(series, margin)])


class _Canvas:
    """Cells of text. Places are 0..1 from the left, heights 0..1 from the bottom."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._bits: dict[tuple[int, int], int] = {}
        self._cells: dict[tuple[int, int], tuple[str, str]] = {}

    def column(self, place: float) -> int:
        """The column of a place."""
        return self._dot(place, 0.0)[0] // 2

    def row(self, height: float) -> int:
        """The row of a height, from the top."""
        return self._dot(0.0, height)[1] // 4

    def rule(self, place: float, label: str) -> None:
        """A vertical line with a label at its top, on the side where there is room."""
        column = self.column(place)
        for row in range(self.rows):
            self._cells[row, column] = ("┊", CHOSEN)
        start = column + 2 if column < self.columns / 2 else column - 1 - len(label)
        for offset, letter in enumerate(label):
            self._cells[0, start + offset] = (letter, CHOSEN)

    def line(self, points: Sequence[tuple[float, float]], mark: str, colour: str) -> None:
        """Dots from point to point, and a mark on each."""
        dots = [self._dot(*point) for point in points]
        for (x0, y0), (x1, y1) in itertools.pairwise(dots):
            steps = max(abs(x1 - x0), abs(y1 - y0), 1)
            for step in range(steps + 1):
                share = step / steps
                self._set(round(x0 + share * (x1 - x0)), round(y0 + share * (y1 - y0)), colour)
        for x, y in dots:
            self._cells[y // 4, x // 2] = (mark, colour)

    def text(self, row: int) -> Text:
        """A row as text."""
        cells = [self._cells.get((row, column), (" ", "")) for column in range(self.columns)]
        return Text.assemble(*cells)

    def _dot(self, place: float, height: float) -> tuple[int, int]:
        """Dots from the left and from the top; the outermost columns stay free."""
        wide, high = 2 * self.columns - 5, 4 * self.rows - 1
        return 2 + round(place * wide), round((1 - height) * high)

    def _set(self, x: int, y: int, colour: str) -> None:
        cell = (y // 4, x // 2)
        self._bits[cell] = self._bits.get(cell, 0) | BITS[x % 2][y % 4]
        self._cells[cell] = (chr(BRAILLE + self._bits[cell]), colour)


def _x_axis(
    xs: Sequence[float], place: Callable[[float], float], canvas: _Canvas, margin: int
) -> list[Text]:
    """The line under the plot, and the numbers that fit below it."""
    ticks, numbers = ["─"] * canvas.columns, ""
    for x in labelled(xs):
        column, number = canvas.column(place(x)), _number(x)
        start = min(column - len(number) // 2, canvas.columns - len(number))
        if not numbers or start > len(numbers):
            ticks[column] = "┬"
            numbers = numbers.ljust(start) + number
    line = " " * (margin - 1) + "└" + "".join(ticks)
    return [Text(line, style="dim"), Text(" " * margin + numbers, style="dim")]


def _legend(series: Sequence[Series], margin: int) -> list[Text]:
    if len(series) < 2:
        return []
    legend = Text(" " * margin)
    for index, one in enumerate(series):
        mark, colour = MARKS[index % len(MARKS)], COLOURS[index % len(COLOURS)]
        legend.append(f"{'  ' if index else ''}{mark} {one.name}", colour)
    return [legend]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"
