"""Images and their captions, as training reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.encoder import UInt8Array


@dataclass(frozen=True)
class Pairs:
    """Images and their captions, in memory or mapped from a file.

    pixels: uint8 [N, S, S, 3] RGB, by the base's preprocessing (np.memmap allowed).
    captions: N tuples of one or more texts. groups: N strings; a group is never on both sides of a
    split.
    """

    pixels: UInt8Array
    captions: Sequence[tuple[str, ...]]
    groups: Sequence[str]
