"""Phone, tablet and desktop: how large a screen is in units, and the frame drawn around it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from model.synthetic.screens.box import Box
from model.synthetic.screens.canvas import Canvas
from model.synthetic.screens.theme import Colour, mix
from model.synthetic.screens.words import BRANDS

FRAMES: tuple[Colour, ...] = ((10, 10, 12), (24, 24, 28), (58, 60, 66))
PALE_FRAMES: tuple[Colour, ...] = ((228, 228, 232), (206, 208, 212), (240, 236, 230))
SILVER: Colour = (176, 178, 184)
# Width of the frame, in short sides of the picture.
PHONE_EDGE, TABLET_EDGE = 0.045, 0.075


@dataclass(frozen=True)
class Device:
    """A shape of screen.

    short_side: units. aspect: range of long over short side. columns: see `Canvas`.
    upright: share with the long side vertical. frame: draws the device, after its screen.
    inner: the room that the frame leaves for the screen.
    """

    short_side: float
    aspect: tuple[float, float]
    columns: int
    upright: float
    inner: Callable[[Box], Box]
    frame: Callable[[Canvas, Box], None]


def picture_size(device: Device, rng: random.Random) -> tuple[float, float]:
    """Width and height of the picture in units; the density of the interface varies a little."""
    short = device.short_side * rng.uniform(0.9, 1.1)
    long = short * rng.uniform(*device.aspect)
    return (short, long) if rng.random() < device.upright else (long, short)


def _phone_inner(picture: Box) -> Box:
    return picture.inset(picture.width * PHONE_EDGE)


def _phone_frame(canvas: Canvas, picture: Box) -> None:
    edge, black = picture.width * PHONE_EDGE, canvas.rng.choice(FRAMES)
    canvas.fill(picture, None, edge * 3.2, SILVER, edge * 0.3)
    body = picture.inset(edge * 0.25)
    canvas.fill(body, None, edge * 3.0, black, edge * 0.85)
    canvas.fill(Box(body.x - 50, body.top, body.x + 50, body.top + edge * 1.6), black, edge * 0.6)


def _tablet_inner(picture: Box) -> Box:
    return picture.inset(min(picture.width, picture.height) * TABLET_EDGE)


def _tablet_frame(canvas: Canvas, picture: Box) -> None:
    edge = min(picture.width, picture.height) * TABLET_EDGE
    colour = canvas.rng.choice((*FRAMES, *PALE_FRAMES))
    canvas.fill(picture, None, edge * 1.4, colour, edge * 1.05)
    canvas.fill(picture, None, edge * 1.4, SILVER, edge * 0.1)
    canvas.circle(picture.x, picture.bottom - edge / 2, edge * 0.3, None, SILVER, 2)
    canvas.circle(picture.right - edge / 2, picture.y, edge * 0.12, SILVER)


def _desktop_inner(picture: Box) -> Box:
    return picture.cut_top(64)[1]


def _desktop_frame(canvas: Canvas, picture: Box) -> None:
    """A browser's bar: window buttons, address, and the line below."""
    bar, _ = picture.cut_top(64)
    theme = canvas.theme
    grey = mix(theme.background, theme.text, 0.2)
    canvas.fill(bar, grey)
    for number, light in enumerate(((236, 95, 88), (244, 190, 80), (98, 198, 84))):
        canvas.circle(bar.left + 28 + 26 * number, bar.y, 9, light)
    address = bar.middle(bar.width * canvas.rng.uniform(0.4, 0.6), 38)
    canvas.fill(address, mix(theme.surface, theme.background, 0.3), 19)
    site = canvas.rng.choice(BRANDS).lower()
    canvas.text(address.x, address.y, f"{site}.example", 18, theme.muted, anchor="mm")
    canvas.line([(bar.left, bar.bottom), (bar.right, bar.bottom)], theme.line, 2)


DEVICES: dict[str, Device] = {
    "phone": Device(390, (1.78, 2.16), 1, 1.0, _phone_inner, _phone_frame),
    "tablet": Device(800, (1.33, 1.45), 2, 0.5, _tablet_inner, _tablet_frame),
    "desktop": Device(860, (1.5, 1.78), 3, 0.0, _desktop_inner, _desktop_frame),
}
