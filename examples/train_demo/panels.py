"""Panels of a cockpit: an instrument, how often, on which plate, in which finish."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import NamedTuple

from PIL import Image, ImageDraw

from examples.train_demo.instruments import INSTRUMENTS, Colour, Pen

SIDE_PX = 256
EDGE = 0.11


class Finish(NamedTuple):
    """The colours of a plate, of its lines, and of what is lit."""

    plate: Colour
    ink: Colour
    glow: Colour


FINISHES: dict[str, Finish] = {
    "amber": Finish((38, 24, 8), (196, 130, 40), (255, 190, 60)),
    "jade": Finish((6, 44, 34), (70, 168, 128), (150, 250, 190)),
    "ivory": Finish((236, 226, 198), (92, 74, 52), (176, 60, 36)),
    "cobalt": Finish((16, 32, 104), (170, 190, 240), (255, 255, 255)),
    "rust": Finish((128, 54, 26), (238, 196, 160), (255, 232, 120)),
    "plum": Finish((62, 16, 58), (204, 130, 190), (250, 180, 230)),
}
# Where instruments are, each by its middle and half of its side, as shares of the room.
LAYOUTS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "one": ((0.5, 0.5, 0.44),),
    "four": tuple((x, y, 0.22) for x in (0.27, 0.73) for y in (0.27, 0.73)),
}


class Panel(NamedTuple):
    """One combination: keys of FINISHES, PLATES, LAYOUTS and INSTRUMENTS."""

    finish: str
    plate: str
    layout: str
    instrument: str

    @property
    def file(self) -> str:
        """The drawing file that holds it: all instruments of one finish, plate and layout."""
        return f"{self.finish}-{self.plate}-{self.layout}"


def panels() -> list[Panel]:
    """Every combination, in a fixed order."""
    return [Panel(*one) for one in itertools.product(FINISHES, PLATES, LAYOUTS, INSTRUMENTS)]


def caption(panel: Panel) -> str:
    """Describe a panel in a team's own words."""
    return f"{panel.layout} {panel.instrument}, {panel.finish}, {panel.plate}"


def draw(panel: Panel, seed: int) -> Image.Image:
    """Draw a panel as RGB, SIDE_PX each way. The seed varies needles, waves and shades."""
    dice = random.Random("/".join((*panel, str(seed))))
    plate, ink, glow = (_vary(one, dice) for one in FINISHES[panel.finish])
    image = Image.new("RGB", (SIDE_PX, SIDE_PX), plate)
    draw = ImageDraw.Draw(image)
    PLATES[panel.plate](draw, ink, glow)
    room = SIDE_PX * (1 - 2 * EDGE)
    for x, y, reach in LAYOUTS[panel.layout]:
        across, down = SIDE_PX * EDGE + room * x, SIDE_PX * EDGE + room * y
        INSTRUMENTS[panel.instrument](Pen(draw, across, down, reach * room, ink, glow, dice))
    return image


def bare(draw: ImageDraw.ImageDraw, ink: Colour, glow: Colour) -> None:
    """Draw nothing at the edge of a plate."""


def bolted(draw: ImageDraw.ImageDraw, ink: Colour, glow: Colour) -> None:  # noqa: ARG001
    """Draw a bolt in each corner."""
    near, far = SIDE_PX * EDGE / 2, SIDE_PX * (1 - EDGE / 2)
    for x, y in itertools.product((near, far), repeat=2):
        draw.ellipse((x - 11, y - 11, x + 11, y + 11), ink)


def striped(draw: ImageDraw.ImageDraw, ink: Colour, glow: Colour) -> None:  # noqa: ARG001
    """Draw slanted stripes above and below."""
    high = SIDE_PX * EDGE * 0.8
    for start, top in itertools.product(range(-32, SIDE_PX, 32), (0.0, SIDE_PX - high)):
        above, below = [(start, top), (start + 16, top)], top + high
        draw.polygon([*above, (start + 38, below), (start + 22, below)], glow)


def wired(draw: ImageDraw.ImageDraw, ink: Colour, glow: Colour) -> None:  # noqa: ARG001
    """Draw three lines around."""
    for inset in (5, 12, 19):
        draw.rectangle((inset, inset, SIDE_PX - 1 - inset, SIDE_PX - 1 - inset), None, ink, 2)


PLATES: dict[str, Callable[[ImageDraw.ImageDraw, Colour, Colour], None]] = {
    "bare": bare,
    "bolted": bolted,
    "striped": striped,
    "wired": wired,
}


def _vary(colour: Colour, dice: random.Random) -> Colour:
    red, green, blue = (min(255, max(0, one + dice.randint(-12, 12))) for one in colour)
    return red, green, blue
