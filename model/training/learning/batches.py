"""Which pairs form a batch, and what training sees of them.

All of it depends on the seed, the epoch and the row alone: not on how many processes share the
batches, nor on where an interrupted run goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from model.checkpoints.tokenizer import Tokenizer
from model.encoder import Int64Array, UInt8Array
from model.training.pairs import Pairs

# Takes an epoch, returns its rows in their order, int64 [at most N].
Order = Callable[[int], Int64Array]
# The largest shift, as a share of the picture's side.
MAX_SHIFT = 0.03


class Place(NamedTuple):
    """A row of the pairs, in an epoch."""

    epoch: int
    row: int


def shuffled(rows: int, seed: int) -> Order:
    """Return an order in which every epoch has every row once."""
    return lambda epoch: np.random.default_rng((seed, epoch)).permutation(rows)


class Batches(Sampler[list[Place]]):
    """The batches of an epoch; of each the part of one process. What fills no batch is left out."""

    def __init__(self, order: Order, size: int, rank: int = 0, processes: int = 1) -> None:
        """size: of a batch, all processes together."""
        self.epoch = 0
        self._order, self._size = order, size
        self._own = slice(rank * size // processes, (rank + 1) * size // processes)
        self._count = len(order(0)) // size

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[Place]]:
        rows = self._order(self.epoch)
        for batch in range(self._count):
            found = rows[batch * self._size : (batch + 1) * self._size]
            yield [Place(self.epoch, int(row)) for row in found[self._own]]


class Places(Dataset[Place]):
    """Hands on each place: pixels and captions are read for a whole batch at once."""

    def __getitem__(self, place: Place) -> Place:
        return place


@dataclass(frozen=True)
class Reader:
    """Makes a batch of places. augment: shift each picture by a few px and repeat its edge."""

    pairs: Pairs
    tokenizer: Tokenizer
    seed: int
    augment: bool

    def __call__(self, places: Sequence[Place]) -> dict[str, torch.Tensor]:
        """Return pixels uint8 [n, S, S, 3], tokens int64 [n, L], captions int64 [n]."""
        pixels = np.stack([self.pairs.pixels[place.row] for place in places])
        texts = []
        for index, place in enumerate(places):
            dice = np.random.default_rng((self.seed, *place))
            choices = self.pairs.captions[place.row]
            texts.append(choices[dice.integers(len(choices))])
            if self.augment:
                pixels[index] = _shifted(pixels[index], dice)
        return {
            "pixels": torch.from_numpy(pixels),
            "tokens": torch.from_numpy(self.tokenizer(texts)[0]),
            "captions": torch.tensor([caption_id(text) for text in texts]),
        }


def caption_id(text: str) -> int:
    """Return 63 bits, the same for equal texts in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1


def _shifted(pixels: UInt8Array, dice: np.random.Generator) -> UInt8Array:
    """Shift a picture, uint8 [S, S, 3], by a few px."""
    side = len(pixels)
    reach = max(1, round(side * MAX_SHIFT))
    down, across = dice.integers(-reach, reach + 1, 2)
    rows = np.clip(np.arange(side) + down, 0, side - 1)
    columns = np.clip(np.arange(side) + across, 0, side - 1)
    shifted: UInt8Array = pixels[rows[:, None], columns]
    return shifted
