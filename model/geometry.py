"""Pure: where a picture's pixels go when its shortest side becomes S and the centre is kept."""

from __future__ import annotations

import math
from typing import NamedTuple


class Axis(NamedTuple):
    """One side of a picture.

    source: its length in px; after a scaled decode a fraction of the last px may be padding.
    resized: its length once the shortest side is S, px. start: first resized px that is kept.
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

    def read(self, length: int) -> tuple[int, int]:
        """The px that the filter reads for the kept part: bicubic spans 2 px of the coarser grid.

        length: of the side, in whole px.
        """
        start, end = self.kept
        support = 2 * max(1.0, self.step) + 1
        return max(0, math.floor(start - support)), min(length, math.ceil(end + support))

    def mirrored(self) -> Axis:
        """The same centre counted from the other end: an odd rest leaves its spare px there."""
        return self._replace(start=self.resized - self.size - self.start)


def axes(source: tuple[float, float], size: int) -> tuple[Axis, Axis]:
    """Across and down, as CLIP's processor resizes: the longer side truncated, the centre kept.

    source: width and height in px.
    """
    width, height = source
    if width <= height:
        resized = size, int(size * height / width)
    else:
        resized = int(size * width / height), size
    across, down = (
        Axis(length, to, (to - size) // 2, size) for length, to in zip(source, resized, strict=True)
    )
    return across, down


def rows_first(across: Axis, down: Axis) -> bool:
    """Whether Pillow resizes down before across: it does where that drops over twice as many px.

    8-bit clipping between the passes makes the order visible at hard edges, by up to 20 of 255.
    """
    dropped = down.source - down.resized
    return dropped > 0 and dropped > 2 * (across.source - across.resized)
