"""A batch from arrays in memory of their own, such as views into memory of other processes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def gathered(items: Array | Sequence[Array], out: Array) -> Array:
    """Return N arrays of one shape as one array [N, ...]. out: uint8 [size], where to copy them.

    Raises:
        ValueError: the shapes differ, or `out` is too small.
    """
    count, first = len(items), items[0]
    memory = out[: count * first.nbytes].view(first.dtype).reshape(count, *first.shape)
    return np.stack(list(items), out=memory)


class Gather:
    """Gathers batches in memory that each thread keeps, as large as its largest batch so far.

    New memory for each batch would cost more than the copy: the system gives it out page by page.
    A thread's batch is overwritten by its next one.
    """

    def __init__(self) -> None:
        self._own = threading.local()

    def __call__(self, items: Array | Sequence[Array]) -> Array:
        """Return N arrays of one shape as one array [N, ...]; one array is returned as it is."""
        if isinstance(items, np.ndarray):
            return items
        size = len(items) * items[0].nbytes
        memory: Array | None = getattr(self._own, "memory", None)
        if memory is None or memory.size < size:
            memory = self._own.memory = np.empty(size, np.uint8)
        return gathered(items, out=memory)
