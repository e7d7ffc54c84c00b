"""A batch from arrays in memory of their own, such as views into memory of other processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def gathered(items: Array | Sequence[Array], out: Array | None = None) -> Array:
    """Return N arrays of one shape as one array [N, ...].

    out: uint8 [size], where to copy them; without it, one array is returned as it is, not copied.

    Raises:
        ValueError: the shapes differ, there is none, or `out` is too small.
    """
    if out is None:
        return items if isinstance(items, np.ndarray) else np.stack(items)
    count, first = len(items), items[0]
    memory = out[: count * first.nbytes].view(first.dtype).reshape(count, *first.shape)
    return np.stack(list(items), out=memory)
