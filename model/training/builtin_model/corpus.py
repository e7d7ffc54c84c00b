"""Training pictures with captions, rendered once and kept in memory as pixels."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Iterator, Sequence

import numpy as np

from model.encoder import Int64Array, UInt8Array
from model.images.preprocess import preprocess
from model.synthetic.attributes import Attributes, combinations, held_out
from model.synthetic.captions import caption, partial_caption
from model.synthetic.thumbnails import draw, encode, random_format, random_side_px
from model.training.learning.batches import Order
from model.training.pairs import Pairs

# One caption in four leaves attributes out, as users' queries do.
PARTIAL_SHARE = 0.25
# Of a picture; each epoch shows one of them.
CAPTIONS = 8


def pairs_of(attributes: Sequence[Attributes], pixels: UInt8Array, seed: int) -> Pairs:
    """Return a row for each picture, with some captions. pixels: uint8 [R, C, S, S, 3].

    R renditions of C combinations; the row of rendition r of combination c is r C + c.
    """
    rng = random.Random(seed)
    renditions, count = pixels.shape[:2]
    captions = [
        tuple(describe(each, rng) for _ in range(CAPTIONS))
        for _ in range(renditions)
        for each in attributes
    ]
    groups = ["/".join(each) for each in attributes] * renditions
    return Pairs(pixels.reshape(renditions * count, *pixels.shape[2:]), captions, groups)


def rounds(renditions: int, combinations: int, size: int, seed: int) -> Order:
    """Return an order of `pairs_of` in which no batch has two pictures of one combination.

    Each would count as a wrong answer to the other's caption. size: of a batch.
    """
    whole = combinations - combinations % size

    def order(epoch: int) -> Int64Array:
        dice = np.random.default_rng((seed, epoch))
        # Row r, column c: which rendition of combination c is shown in round r.
        shown = dice.permuted(np.tile(np.arange(renditions)[:, None], combinations), axis=0)
        chosen = [dice.permutation(combinations)[:whole] for _ in range(renditions)]
        found = [turn[one] * combinations + one for turn, one in zip(shown, chosen, strict=True)]
        return np.concatenate(found)

    return order


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
