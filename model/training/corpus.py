"""Training pictures with captions, rendered once and kept in memory as pixels."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model.encoder import UInt8Array
from model.images.preprocess import preprocess
from model.synthetic.attributes import Attributes, combinations, held_out
from model.synthetic.captions import caption, partial_caption
from model.synthetic.thumbnails import draw, encode, random_format, random_side_px

# One caption in four leaves attributes out, as users' queries do.
PARTIAL_SHARE = 0.25
MAX_SHIFT_PX = 3

Batch = tuple[UInt8Array, list[str]]


@dataclass(frozen=True)
class Corpus:
    """Rendered pictures. pixels: uint8 [R, C, S, S, 3], R renditions of C combinations."""

    attributes: tuple[Attributes, ...]
    pixels: UInt8Array

    def batches(self, size: int, seed: int) -> Iterator[Batch]:
        """Yield endless batches of up to `size` distinct combinations, with new captions.

        A batch never holds two pictures of one combination, because each would count as a wrong
        answer to the other's caption.
        """
        dice, rng = np.random.default_rng(seed), random.Random(seed)
        renditions, count = self.pixels.shape[:2]
        size = min(size, count)
        while True:
            # Row r, column c: which rendition of combination c is shown in round r.
            shown = dice.permuted(np.tile(np.arange(renditions)[:, None], count), axis=0)
            for turn in shown:
                order = dice.permutation(count)
                for start in range(0, count - size + 1, size):
                    chosen = order[start : start + size]
                    pixels = _shifted(self.pixels[turn[chosen], chosen], dice)
                    yield pixels, [describe(self.attributes[i], rng) for i in chosen]


def describe(attributes: Attributes, rng: random.Random) -> str:
    """Return a training caption. One in four is partial."""
    if rng.random() < PARTIAL_SHARE:
        return partial_caption(attributes, rng)
    return caption(attributes, rng)


def learnable() -> tuple[Attributes, ...]:
    """Return the combinations that training may see."""
    return tuple(each for each in combinations() if not held_out(each))


def render(
    attributes: Sequence[Attributes], renditions: int, image_size: int, seed: int, processes: int
) -> Iterator[UInt8Array]:
    """Yield `renditions` rounds of uint8 [C, S, S, 3], one picture of each combination a round.

    Picture r of combination c is drawn from seed + r, so no seed reaches beyond seed + renditions.
    """
    jobs = [(each, seed + r, image_size) for r in range(renditions) for each in attributes]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pixels = pool.imap(training_pixels, jobs, chunksize=16)
        for _ in range(renditions):
            yield np.stack([next(pixels) for _ in attributes])


def training_pixels(job: tuple[Attributes, int, int]) -> UInt8Array:
    """Draw, encode and preprocess one picture as serving would. Returns uint8 [S, S, 3]."""
    attributes, seed, image_size = job
    rng = random.Random("/".join(("training", *attributes, str(seed))))
    image = draw(attributes, seed, random_side_px(rng))
    return preprocess(encode(image, random_format(rng), rng.randint(40, 95)), image_size)


def _shifted(pixels: UInt8Array, dice: np.random.Generator) -> UInt8Array:
    """Shift the batch by a few px and repeat its edge. pixels: uint8 [N, S, S, 3]."""
    size = pixels.shape[1]
    down, across = dice.integers(-MAX_SHIFT_PX, MAX_SHIFT_PX + 1, 2)
    rows = np.clip(np.arange(size) + down, 0, size - 1)
    columns = np.clip(np.arange(size) + across, 0, size - 1)
    return pixels[:, rows][:, :, columns]
