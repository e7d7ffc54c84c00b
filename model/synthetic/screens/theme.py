"""The colours of one thumbnail: an accent by name, and a light or dark ground for it."""

from __future__ import annotations

import random
from dataclasses import dataclass

Colour = tuple[int, int, int]

# Hues of common design systems, far enough apart to keep their names through JPEG and jitter.
ACCENTS: dict[str, Colour] = {
    "red": (214, 32, 40),
    "orange": (245, 124, 16),
    "yellow": (240, 200, 10),
    "green": (38, 158, 60),
    "teal": (14, 164, 168),
    "blue": (36, 92, 232),
    "purple": (128, 48, 204),
    "pink": (240, 72, 160),
}
MODES = ("light", "dark")
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (12, 12, 14)


@dataclass(frozen=True)
class Theme:
    """Colours by what they are for; RGB, 0..255."""

    background: Colour
    surface: Colour
    line: Colour
    muted: Colour
    text: Colour
    accent: Colour
    on_accent: Colour
    soft: Colour


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`first` with a `share` (0..1) of `second`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def make_theme(colour: str, mode: str, rng: random.Random) -> Theme:
    """A theme of the named accent, with a ground and an accent that vary a little."""
    accent = _vary(ACCENTS[colour], 14, rng)
    dark = mode == "dark"
    grey = rng.randint(12, 62) if dark else rng.randint(204, 252)
    ground = mix(_vary((grey, grey, grey), 9, rng), accent, rng.uniform(0.0, 0.04))
    surface = mix(ground, WHITE, rng.uniform(0.04, 0.12) if dark else rng.uniform(0.2, 1.0))
    text = mix(WHITE, ground, 0.07) if dark else mix(BLACK, accent, rng.uniform(0.0, 0.12))
    return Theme(
        background=ground,
        surface=surface,
        line=mix(ground, text, rng.uniform(0.12, 0.2)),
        muted=mix(ground, text, rng.uniform(0.45, 0.6)),
        text=text,
        accent=accent,
        on_accent=BLACK if _luminance(accent) > 150 else WHITE,
        soft=mix(surface, accent, rng.uniform(0.18, 0.3)),
    )


def _vary(colour: Colour, by: int, rng: random.Random) -> Colour:
    red, green, blue = (min(255, max(0, part + rng.randint(-by, by))) for part in colour)
    return red, green, blue


def _luminance(colour: Colour) -> float:
    """Rec. 601 luma, 0..255."""
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue
