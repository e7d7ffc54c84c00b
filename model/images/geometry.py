"""Pure: where a picture's pixels go when it is resized and the centre is kept."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

# By the numbers that Pillow, and so preprocessor_config.json, has for them.
Filter = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
FILTERS: tuple[Filter, ...] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
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
    """How a picture becomes the pixels that a tower reads.

    size: S, the side of the centre that is kept, px. resize: what the shortest side becomes, the
    other in proportion; or height and width, whatever the proportion was. No less than S. filter:
    by which the picture is resized.
    """

    size: int
    resize: int | tuple[int, int]
    filter: Filter = "bicubic"

    @classmethod
    def clip(cls, size: int) -> Geometry:
        """OpenAI's own: the shortest side to S, bicubic."""
        return cls(size, size)

    @property
    def longest(self) -> int:
        """The most that a side is asked to become, px."""
        return self.resize if isinstance(self.resize, int) else max(self.resize)

    def on_its_side(self) -> Geometry:
        """The same for a picture that is stored turned by 90 degrees."""
        if isinstance(self.resize, int):
            return self
        height, width = self.resize
        return self._replace(resize=(width, height))

    def __str__(self) -> str:
        """Short; S alone where it is OpenAI's own."""
        if self == Geometry.clip(self.size):
            return f"{self.size}"
        to = self.resize if isinstance(self.resize, int) else "{} x {}".format(*self.resize)
        return f"{self.size} of {to}, {self.filter}"


class Axis(NamedTuple):
    """One side of a picture.

    source: its length in px; after a scaled decode a fraction of the last px may be padding.
    resized: its length once resized, px. start: first resized px that is kept.
    size: S, how many are kept.
    """

    source: float
    resized: int
    start: int
    size: int

    @property
    def step(self) -> float:
        """Source px a resized px."""
        return self.source / self.resized

    @property
    def kept(self) -> tuple[float, float]:
        """What becomes the kept part: (start, end) in source px."""
        end = (self.start + self.size) * self.step
        return self.start * self.step, min(end, self.source)

    def read(self, length: int, support: float) -> tuple[int, int]:
        """The px that a filter reads for the kept part.

        length: of the side, in whole px. support: of the filter, px of the coarser grid.
        """
        start, end = self.kept
        margin = support * max(1.0, self.step) + 1
        return max(0, math.floor(start - margin)), min(length, math.ceil(end + margin))

    def mirrored(self) -> Axis:
        """The same centre counted from the other end: an odd rest leaves its spare px there."""
        return self._replace(start=self.resized - self.size - self.start)


def axes(source: tuple[float, float], geometry: Geometry) -> tuple[Axis, Axis]:
    """Across and down, as CLIP's processor resizes: the longer side truncated, the centre kept.

    source: width and height in px.
    """
    size = geometry.size
    across, down = (
        Axis(length, to, (to - size) // 2, size)
        for length, to in zip(source, _resized(source, geometry.resize), strict=True)
    )
    return across, down


def _resized(source: tuple[float, float], to: int | tuple[int, int]) -> tuple[int, int]:
    """Width and height in px once resized."""
    width, height = source
    if isinstance(to, tuple):
        return to[1], to[0]
    if width <= height:
        return to, int(to * height / width)
    return int(to * width / height), to


def rows_first(across: Axis, down: Axis) -> bool:
    """Whether Pillow resizes down before across: it does where that drops over twice as many px.

    8-bit clipping between the passes makes the order visible at hard edges, by up to 20 of 255.
    """
    dropped = down.source - down.resized
    return dropped > 0 and dropped > 2 * (across.source - across.resized)
