"""Instruments of a cockpit, drawn as lines: nothing that the built-in model has seen."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from PIL import ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Pen:
    """Draws in a square about (x, y). reach: half of its side, px. dice: for what is left open."""

    draw: ImageDraw.ImageDraw
    x: float
    y: float
    reach: float
    ink: Colour
    glow: Colour
    dice: random.Random

    def at(self, turn: float, reach: float) -> Point:
        """Return a point. turn: of the circle, clockwise from the top. reach: 0..1."""
        angle = 2 * math.pi * turn
        reach *= self.reach
        return self.x + reach * math.sin(angle), self.y - reach * math.cos(angle)

    def in_square(self, across: float, down: float) -> Point:
        """Return a point; both are -1..1."""
        return self.x + across * self.reach, self.y + down * self.reach

    def line(self, points: list[Point], colour: Colour | None = None, width: float = 0.05) -> None:
        """Draw a stroke. width: a share of the reach."""
        self.draw.line(points, colour or self.ink, max(1, round(width * self.reach)))

    def ring(self, reach: float, colour: Colour | None = None, width: float = 0.05) -> None:
        """Draw a circle about the middle. reach: 0..1."""
        size = reach * self.reach
        corners = (self.x - size, self.y - size, self.x + size, self.y + size)
        self.draw.ellipse(corners, None, colour or self.ink, max(1, round(width * self.reach)))

    def disc(self, middle: Point, reach: float, colour: Colour | None = None) -> None:
        """Fill a circle. reach: 0..1."""
        size = reach * self.reach
        corners = (middle[0] - size, middle[1] - size, middle[0] + size, middle[1] + size)
        self.draw.ellipse(corners, colour or self.ink)

    def block(self, first: Point, last: Point, colour: Colour | None = None) -> None:
        """Fill a rectangle between two corners."""
        self.draw.rectangle((*first, *last), colour or self.ink)


def dial(pen: Pen) -> None:
    """Draw a gauge with a needle."""
    pen.ring(0.95, width=0.08)
    for tick in range(9):
        turn = -0.35 + 0.7 * tick / 8
        pen.line([pen.at(turn, 0.7), pen.at(turn, 0.88)], width=0.07)
    pen.line([(pen.x, pen.y), pen.at(pen.dice.uniform(-0.35, 0.35), 0.8)], pen.glow, 0.12)
    pen.disc((pen.x, pen.y), 0.14)


def radar(pen: Pen) -> None:
    """Draw rings, a sweep and some echoes."""
    sweep = pen.dice.random()
    pen.draw.pieslice(
        (*pen.in_square(-0.95, -0.95), *pen.in_square(0.95, 0.95)),
        360 * sweep,
        360 * sweep + 50,
        pen.glow,
    )
    for reach in (0.33, 0.64, 0.95):
        pen.ring(reach)
    for turn in (0.0, 0.25):
        pen.line([pen.at(turn, 0.95), pen.at(turn + 0.5, 0.95)])
    for _ in range(4):
        pen.disc(pen.at(pen.dice.random(), pen.dice.uniform(0.2, 0.8)), 0.08)


def meter(pen: Pen) -> None:
    """Draw columns of lamps, lit from below."""
    for column in range(5):
        lit = pen.dice.randint(2, 8)
        for row in range(8):
            left, top = pen.in_square(-0.9 + 0.38 * column, 0.7 - 0.23 * row)
            corner = (left + 0.28 * pen.reach, top + 0.15 * pen.reach)
            if row < lit:
                pen.block((left, top), corner, pen.glow)
            else:
                pen.draw.rectangle((left, top, *corner), None, pen.ink)


def compass(pen: Pen) -> None:
    """Draw a rose of eight points."""
    turned = pen.dice.random()
    pen.ring(0.95)
    for point in range(8):
        long, turn = (0.9 if point % 2 == 0 else 0.55), turned + point / 8
        tip, left, right = pen.at(turn, long), pen.at(turn - 0.06, 0.2), pen.at(turn + 0.06, 0.2)
        colour = pen.glow if point == 0 else pen.ink
        pen.draw.polygon([tip, left, (pen.x, pen.y), right], colour)


def horizon(pen: Pen) -> None:
    """Draw an artificial horizon that is tilted."""
    tilt, rise = pen.dice.uniform(-0.08, 0.08), pen.dice.uniform(-0.3, 0.3)
    box = (*pen.in_square(-0.95, -0.95), *pen.in_square(0.95, 0.95))
    start = 360 * tilt + 30 * rise
    pen.draw.chord(box, start, start + 180 - 60 * rise, pen.glow)
    pen.ring(0.95, width=0.08)
    pen.line([pen.in_square(-0.6, 0), pen.in_square(-0.2, 0)], width=0.12)
    pen.line([pen.in_square(0.2, 0), pen.in_square(0.6, 0)], width=0.12)
    pen.disc((pen.x, pen.y), 0.08)


def knobs(pen: Pen) -> None:
    """Draw nine round knobs, each turned."""
    for across in (-0.65, 0.0, 0.65):
        for down in (-0.65, 0.0, 0.65):
            middle = pen.in_square(across, down)
            pen.disc(middle, 0.26)
            angle = 2 * math.pi * pen.dice.random()
            tip = (middle[0] + 0.24 * pen.reach * math.sin(angle),
                   middle[1] - 0.24 * pen.reach * math.cos(angle))  # fmt: skip
            pen.line([middle, tip], pen.glow, 0.1)


def bulb(pen: Pen) -> None:
    """Draw a thermometer."""
    level = pen.dice.uniform(-0.7, 0.2)
    pen.draw.rounded_rectangle(
        (*pen.in_square(-0.16, -0.95), *pen.in_square(0.16, 0.7)),
        0.16 * pen.reach,
        None,
        pen.ink,
        2,
    )
    pen.disc(pen.in_square(0, 0.65), 0.32)
    pen.disc(pen.in_square(0, 0.65), 0.24, pen.glow)
    pen.block(pen.in_square(-0.08, level), pen.in_square(0.08, 0.6), pen.glow)


def reels(pen: Pen) -> None:
    """Draw the two reels of a tape, and the tape between them."""
    for side in (-0.48, 0.48):
        middle = pen.in_square(side, -0.2)
        pen.disc(middle, 0.45)
        turned = pen.dice.random()
        for hole in range(3):
            angle = 2 * math.pi * (turned + hole / 3)
            at = (middle[0] + 0.24 * pen.reach * math.sin(angle),
                  middle[1] - 0.24 * pen.reach * math.cos(angle))  # fmt: skip
            pen.disc(at, 0.12, pen.glow)
    ends = [pen.in_square(-0.9, -0.1), pen.in_square(-0.4, 0.8), pen.in_square(0.4, 0.8),
            pen.in_square(0.9, -0.1)]  # fmt: skip
    pen.line(ends, width=0.06)


INSTRUMENTS: dict[str, Callable[[Pen], None]] = {
    "dial": dial,
    "radar": radar,
    "meter": meter,
    "compass": compass,
    "horizon": horizon,
    "knobs": knobs,
    "bulb": bulb,
    "reels": reels,
}
