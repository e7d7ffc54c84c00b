"""Memory that two processes share: pixels, and since when each image is being decoded.

It is a sparse anonymous file, not a file in /dev/shm, which has 64 MB in a container by default.
Only pages that were written take memory.

    [ decoding_since_s: float64 [count] | slot 0 | slot 1 | ... ]
"""

from __future__ import annotations

import mmap
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from model.encoder import Preprocessing, UInt8Array

# The most bytes of the pixels of one image, for all models together. 37 ways of 384 px fit.
SLOT_BYTES = 16 * 2**20


class SharedPixels:
    """`count` slots, each for one image.

    decoding_since_s: of each slot; an instant of `time.monotonic`, or 0 while nothing is decoded.
    """

    def __init__(self, descriptor: int, count: int) -> None:
        """descriptor: of `create`; it may be closed afterwards."""
        head_bytes = _head_bytes(count)
        self._map = mmap.mmap(descriptor, head_bytes + count * SLOT_BYTES)
        self.decoding_since_s = np.frombuffer(self._map, np.float64, count)
        self._slots = np.frombuffer(self._map, np.uint8, offset=head_bytes).reshape(count, -1)

    def views(self, slot: int, ways: Sequence[Preprocessing]) -> list[UInt8Array]:
        """Return the pixels of a slot, without a copy: uint8 [S, S, 3] of each way."""
        found, start = [], 0
        for way in ways:
            end = start + pixel_bytes(way)
            found.append(self._slots[slot, start:end].reshape(way.size, way.size, 3))
            start = end
        return found

    def write(self, slot: int, ways: Sequence[Preprocessing], pixels: Sequence[UInt8Array]) -> None:
        """Write the pixels of each way. Raises ValueError if one has another shape."""
        for view, one in zip(self.views(slot, ways), pixels, strict=True):
            view[:] = one

    @contextmanager
    def decoding(self, slot: int) -> Iterator[None]:
        """Note that the image is being decoded while the block runs."""
        self.decoding_since_s[slot] = time.monotonic()
        try:
            yield
        finally:
            self.decoding_since_s[slot] = 0.0


def create(count: int) -> int:
    """Return the descriptor of new memory for `count` slots; it goes with its last user."""
    size = _head_bytes(count) + count * SLOT_BYTES
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("sweetspot-pixels", os.MFD_CLOEXEC)
    else:  # not on macOS
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor


def can_share() -> bool:
    """Whether such memory can be made here: a limit on the size of files also holds for it."""
    try:
        os.close(create(1))
    except OSError:
        return False
    return True


def pixel_bytes(way: Preprocessing) -> int:
    """Return the bytes of one image's pixels."""
    return 3 * way.size * way.size


def _head_bytes(count: int) -> int:
    """Return the bytes before the first slot: whole pages."""
    return -(-8 * count // mmap.PAGESIZE) * mmap.PAGESIZE
