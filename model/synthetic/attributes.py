"""What a thumbnail shows, in four words, and which combinations training never sees."""

from __future__ import annotations

import functools
import itertools
import zlib
from typing import NamedTuple

from model.synthetic.screens.devices import DEVICES
from model.synthetic.screens.kinds import KINDS
from model.synthetic.screens.theme import ACCENTS, MODES


class Attributes(NamedTuple):
    """One combination: keys of `KINDS`, `ACCENTS`, `MODES` and `DEVICES`."""

    kind: str
    colour: str
    mode: str
    device: str


@functools.cache
def combinations() -> tuple[Attributes, ...]:
    """Every combination, in a fixed order."""
    every = itertools.product(KINDS, ACCENTS, MODES, DEVICES)
    return tuple(Attributes(*values) for values in every)


def held_out(attributes: Attributes) -> bool:
    """Whether training never sees this combination: about one in ten, always the same."""
    return zlib.crc32("/".join(attributes).encode()) % 10 == 0
