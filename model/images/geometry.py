"""Geometry of resizing an image and keeping its centre. Pure."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

# In the order of Pillow's numbers, which preprocessor_config.json uses.
Filter = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
FILTERS: tuple[Filter, ...] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
# A square of this side, px, has the most px that `model.images.preprocess` resizes to.
MAX_SIDE = 4000
# How many px of the coarser grid each filter reads on either side.
SUPPORT: dict[Filter, float] = {
    "nearest": 0.5,
    "lanczos": 3.0,
    "bilinear": 1.0,
    "bicubic": 2.0,
    "box": 0.5,
    "hamming": 1.0,
}


class Geometry(NamedTuple):
    """How an image is resized and cropped to the pixels of a tower.

    size: S, the side of the centre that is kept, px. resize: the new shortest side, px, with the
    proportion kept; or the new height and width, with the proportion ignored. At least S.
    filter: the resampling filter.
    """

    size: int
    resize: int | tuple[int, int]
    filter: Filter = "bicubic"

    @classmethod
    def clip(cls, size: int) -> Geometry:
        """Return OpenAI's geometry: the shortest side to S, bicubic."""
        return cls(size, size)

    @property
    def longest(self) -> int:
        """The largest side in `resize`, px."""
        return self.resize if isinstance(self.resize, int) else max(self.resize)

    def on_its_side(self) -> Geometry:
        """Return the same geometry for an image that is stored rotated by 90 degrees."""
        if isinstance(self.resize, int):
            return self
        height, width = self.resize
        return self._replace(resize=(width, height))

    def __str__(self) -> str:
        """Return a short form; S alone for OpenAI's geometry."""
        if self == Geometry.clip(self.size):
            return f"{self.size}"
        to = self.resize if isinstance(self.resize, int) else "{} x {}".format(*self.resize)
        return f"{self.size} of {to}, {self.filter}"


class Axis(NamedTuple):
    """One side of an image.

    source: its length in px; after a scaled decode a fraction of the last px may be padding.
    resized: its length after resizing, px. start: the first resized px that is kept.
    size: S, the number of px kept.
    """

    source: float
    resized: int
    start: int
    size: int

    @property
    def step(self) -> float:
        """Source px per resized px."""
        return self.source / self.resized

    @property
    def kept(self) -> tuple[float, float]:
        """The source of the kept part: (start, end) in source px."""
        end = (self.start + self.size) * self.step
        return self.start * self.step, min(end, self.source)

    def read(self, length: int, support: float) -> tuple[int, int]:
        """Return the range of source px that a filter reads for the kept part.

        length: of the side, in whole px. support: of the filter, px of the coarser grid.
        """
        start, end = self.kept
        margin = support * max(1.0, self.step) + 1
        return max(0, math.floor(start - margin)), min(length, math.ceil(end + margin))

    def mirrored(self) -> Axis:
        """Return the axis counted from the other end. The spare px of an odd margin is there."""
        return self._replace(start=self.resized - self.size - self.start)


def axes(source: tuple[float, float], geometry: Geometry) -> tuple[Axis, Axis]:
    """Return the axes across and down as CLIP's processor resizes: the longer side rounded down.

    source: width and height in px.
    """
    size = geometry.size
    across, down = (
        Axis(length, to, (to - size) // 2, size)
        for length, to in zip(source, _resized(source, geometry.resize), strict=True)
    )
    return across, down


def _resized(source: tuple[float, float], to: int | tuple[int, int]) -> tuple[int, int]:
    """Return width and height in px after resizing."""
    width, height = source
    if isinstance(to, tuple):
        return to[1], to[0]
    if width <= height:
        return to, int(to * height / width)
    return int(to * width / height), to


def rows_first(across: Axis, down: Axis) -> bool:
    """Whether Pillow resizes down before across: if that removes over twice as many px.

    Pillow clips to 8 bits between the passes, so the order changes hard edges by up to 20 of 255.
    """
    dropped = down.source - down.resized
    return dropped > 0 and dropped > 2 * (across.source - across.resized)
