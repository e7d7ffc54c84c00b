"""A picture to draw on, in units of the drawn device instead of pixels."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from model.synthetic.screens.box import Box
from model.synthetic.screens.theme import Colour, Theme, mix

Point = tuple[float, float]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Smaller letters cannot be read, px. A bar looks the same and costs a tenth.
MIN_TEXT_PX = 4
# Width of a mean letter of Pillow's bundled font, in sizes of that font.
LETTER_WIDTH = 0.52


class Canvas:
    """Draws shapes and text; holds the theme, the random generator and the columns.

    columns: how many things of a phone's width fit side by side: 1 phone, 2 tablet, 3 desktop.
    radius: corner radius of cards and buttons, units.
    """

    def __init__(
        self, image: Image.Image, scale: float, theme: Theme, rng: random.Random, columns: int
    ) -> None:
        """Wrap `image`; `scale` is px per unit."""
        self.theme = theme
        self.rng = rng
        self.columns = columns
        self.radius = rng.choice((2.0, 6.0, 10.0, 16.0))
        self._scale = scale
        self._draw = ImageDraw.Draw(image)

    def fill(
        self,
        box: Box,
        colour: Colour | None,
        radius: float = 0.0,
        outline: Colour | None = None,
        thickness: float = 1.0,
    ) -> None:
        """A rectangle; `radius` (units) rounds it, `outline` draws its edge inside."""
        left, top, right, bottom = (round(side * self._scale) for side in box)
        corners = (left, top, max(left, right - 1), max(top, bottom - 1))
        width = self._pixels(thickness)
        rounding = min(radius * self._scale, (right - left) / 2, (bottom - top) / 2)
        if rounding < 1.5:
            self._draw.rectangle(corners, colour, outline, width)
        else:
            self._draw.rounded_rectangle(corners, rounding, colour, outline, width)

    def circle(
        self,
        x: float,
        y: float,
        radius: float,
        colour: Colour | None,
        outline: Colour | None = None,
        thickness: float = 1.0,
    ) -> None:
        """A disc about (x, y), or a ring when only `outline` is given."""
        left, top = round((x - radius) * self._scale), round((y - radius) * self._scale)
        side = max(1, round(2 * radius * self._scale))
        corners = (left, top, left + side, top + side)
        self._draw.ellipse(corners, colour, outline, self._pixels(thickness))

    def sector(self, x: float, y: float, radius: float, span: Point, colour: Colour) -> None:
        """A slice of a disc; `span`: its two angles in degrees, clockwise from three o'clock."""
        corners = [(at * self._scale) for at in (x - radius, y - radius, x + radius, y + radius)]
        self._draw.pieslice(corners, span[0], span[1], colour)

    def line(self, points: Sequence[Point], colour: Colour, thickness: float = 1.0) -> None:
        """Straight strokes from point to point."""
        self._draw.line(self._scaled(points), colour, self._pixels(thickness), joint="curve")

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled outline."""
        self._draw.polygon(self._scaled(points), colour)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: float,
        colour: Colour | None = None,
        *,
        anchor: str = "lm",
        room: float | None = None,
        bold: bool = False,
    ) -> None:
        """One line of `size` units; `room` cuts it to so many units; `anchor` as in Pillow."""
        colour = self.theme.text if colour is None else colour
        if room is not None:
            words = words[: max(1, int(room / (LETTER_WIDTH * size)))]
        pixels = round(size * self._scale)
        if pixels < MIN_TEXT_PX:
            self._bar(x, y, LETTER_WIDTH * size * len(words), size, colour, anchor)
            return
        stroke = pixels / 24 if bold else 0
        at = (round(x * self._scale), round(y * self._scale))
        self._draw.text(at, words, colour, _font(pixels), anchor, stroke_width=stroke)

    def _bar(
        self, x: float, y: float, width: float, size: float, colour: Colour, anchor: str
    ) -> None:
        left = x - width * {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]]
        faint = mix(colour, self.theme.surface, 0.35)
        self.fill(Box(left, y - 0.28 * size, left + width, y + 0.28 * size), faint)

    def _scaled(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self._scale, y * self._scale) for x, y in points]

    def _pixels(self, thickness: float) -> int:
        return max(1, round(thickness * self._scale))


@lru_cache(maxsize=128)
def _font(pixels: int) -> Font:
    """Return Pillow's bundled font, so that pictures do not depend on a machine's fonts."""
    return ImageFont.load_default(pixels)
