"""Kinds of images that services receive, to measure with. Equal seeds give equal pictures."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.synthetic.attributes import Attributes, combinations
from model.synthetic.thumbnails import Format, draw, encode, sample

# Long sides in px: a catalogue's previews; cameras' photos, some of them shrunk; whole screens.
SMALL_PX = (256, 400)
PHOTO_PX = (1600, 4000)
SCREEN_PX = (1280, 1600)
PHOTO_QUALITY = 90
# Formats and sizes of mixed pictures: of 20 in a row one each.
MIXED: tuple[tuple[Format, tuple[int, int]], ...] = (
    *10 * (("JPEG", (800, 600)),),
    *5 * (("PNG", (400, 300)),),
    *3 * (("WEBP", (800, 600)),),
    *2 * (("JPEG", (1600, 1200)),),
)
# A photo's brightness varies on all scales, more on larger ones: (px, deviation of 0..255). Its
# colours vary on large scales only. The finest is a sensor's grain: about 2 bits a pixel as JPEG.
BRIGHTNESS = ((512, 45.0), (128, 25.0), (32, 14.0), (8, 9.0), (2, 6.0), (1, 3.0))
COLOURS = ((512, 14.0), (64, 8.0), (8, 3.0))


class Picture(NamedTuple):
    """An encoded picture. mime: as in a Content-Type header."""

    data: bytes
    mime: str


class Mix(NamedTuple):
    """draw: makes a picture from a seed. most: the number that can be drawn within seconds."""

    draw: Callable[[int], Picture]
    most: int
    words: str


def thumbnail(seed: int) -> Picture:
    """A screen of 400..1600 px: JPEG three times in four, else WebP or PNG."""
    one = sample(seed)
    return Picture(one.data, one.mime)


def small(seed: int) -> Picture:
    """A screen of 256..400 px as JPEG."""
    dice = random.Random(seed)
    image = draw(dice.choice(combinations()), seed, dice.randint(*SMALL_PX))
    return Picture(encode(image, "JPEG"), "image/jpeg")


def photo(seed: int) -> Picture:
    """Noise of 1600..4000 px as JPEG of quality 90: as much to decode as in a photo."""
    dice = np.random.default_rng(seed)
    low, high = PHOTO_PX
    long = round(low * math.pow(high / low, dice.random()))
    sides = (long, round(long * dice.choice((2 / 3, 3 / 4))))
    size = sides if dice.random() < 0.5 else sides[::-1]
    return Picture(encode(_noise(dice, size), "JPEG", PHOTO_QUALITY), "image/jpeg")


def mixed(seed: int) -> Picture:
    """Noise like a photo's as JPEG or WebP, or a screen as PNG; of the sizes in `MIXED`."""
    kind, size = MIXED[seed % len(MIXED)]
    if kind == "PNG":
        image = draw(random.Random(seed).choice(_desktops()), seed, max(size)).resize(size)
    else:
        image = _noise(np.random.default_rng(seed), size).convert("RGB")
    return Picture(encode(image, kind), f"image/{kind.lower()}")


def screenshot(seed: int) -> Picture:
    """A desktop's screen, 1280..1600 px wide, as PNG."""
    dice = random.Random(seed)
    image = draw(dice.choice(_desktops()), seed, dice.randint(*SCREEN_PX))
    return Picture(encode(image, "PNG"), "image/png")


MIXES: dict[str, Mix] = {
    "thumbnails": Mix(thumbnail, 1024, "thumbnails of 400-1600 px, most of them JPEG"),
    "small": Mix(small, 1024, "JPEG of 256-400 px"),
    "photos": Mix(photo, 24, "photos of 1600-4000 px, JPEG"),
    "png": Mix(screenshot, 512, "screenshots of 1280-1600 px, PNG"),
    "mixed": Mix(mixed, 256, "JPEG and WebP of 800 x 600 px, PNG of 400 x 300 px, larger JPEG"),
}


def _noise(dice: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """A YCbCr image as rich in detail as a photo. size: width and height in px."""
    channels = [_clouds(dice, size, scales) for scales in (BRIGHTNESS, COLOURS, COLOURS)]
    return Image.merge("YCbCr", [Image.fromarray(one) for one in channels])


def _clouds(
    dice: np.random.Generator, size: tuple[int, int], scales: tuple[tuple[int, float], ...]
) -> NDArray[np.uint8]:
    """Noise on several scales, the largest first, around a medium grey. Returns uint8 [H, W]."""
    total = np.full((1, 1), 127.5, np.float32)
    for scale, deviation in scales:
        cells = (max(1, size[0] // scale), max(1, size[1] // scale))
        total = _resized(total, cells) + deviation * dice.standard_normal(cells[::-1], np.float32)
    return _resized(total, size).clip(0, 255).astype(np.uint8)


def _resized(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """values: float32 [H, W]. size: width and height of the result."""
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BICUBIC))


def _desktops() -> list[Attributes]:
    return [one for one in combinations() if one.device == "desktop"]
