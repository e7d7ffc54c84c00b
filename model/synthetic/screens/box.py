"""Rectangles that are cut, split and centred: the whole layout of a thumbnail."""

from __future__ import annotations

from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle in units (about one CSS pixel of the drawn device), y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Units across."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Units down."""
        return self.bottom - self.top

    @property
    def x(self) -> float:
        """The middle across."""
        return (self.left + self.right) / 2

    @property
    def y(self) -> float:
        """The middle down."""
        return (self.top + self.bottom) / 2

    def inset(self, across: float, down: float | None = None) -> Box:
        """Smaller by `across` at left and right and `down` (else the same) above and below."""
        down = across if down is None else down
        return Box(self.left + across, self.top + down, self.right - across, self.bottom - down)

    def cut_top(self, height: float) -> tuple[Box, Box]:
        """The upper `height` units, and the rest."""
        at = self.top + height
        return self._replace(bottom=at), self._replace(top=at)

    def cut_bottom(self, height: float) -> tuple[Box, Box]:
        """The lower `height` units, and the rest."""
        at = self.bottom - height
        return self._replace(top=at), self._replace(bottom=at)

    def cut_left(self, width: float) -> tuple[Box, Box]:
        """The left `width` units, and the rest."""
        at = self.left + width
        return self._replace(right=at), self._replace(left=at)

    def cut_right(self, width: float) -> tuple[Box, Box]:
        """The right `width` units, and the rest."""
        at = self.right - width
        return self._replace(left=at), self._replace(right=at)

    def middle(self, width: float, height: float) -> Box:
        """A box of this size about the same centre, never larger than this one."""
        across = max(0.0, (self.width - width) / 2)
        down = max(0.0, (self.height - height) / 2)
        return self.inset(across, down)

    def square(self) -> Box:
        """The largest centred square."""
        side = min(self.width, self.height)
        return self.middle(side, side)

    def columns(self, count: int, gap: float = 0.0) -> list[Box]:
        """`count` equal columns, left to right."""
        step = (self.width + gap) / count
        lefts = [self.left + step * i for i in range(count)]
        return [self._replace(left=left, right=left + step - gap) for left in lefts]

    def rows(self, count: int, gap: float = 0.0) -> list[Box]:
        """`count` equal rows, top to bottom."""
        step = (self.height + gap) / count
        tops = [self.top + step * i for i in range(count)]
        return [self._replace(top=top, bottom=top + step - gap) for top in tops]

    def stack(self, height: float, gap: float = 0.0) -> list[Box]:
        """As many rows of about `height` as fill this box; at least one."""
        return self.rows(max(1, round((self.height + gap) / (height + gap))), gap)

    def grid(self, rows: int, columns: int, gap: float = 0.0) -> list[Box]:
        """`rows` x `columns` cells, row by row."""
        return [cell for row in self.rows(rows, gap) for cell in row.columns(columns, gap)]
