"""Copies of batches to a CUDA device: pinned memory and one stream per thread.

Each thread that runs forward passes has both, so one thread's copies overlap another's compute.
Not yet run on a device; `python -m benchmarks.gpu` will check it there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


class Staging:
    """Copies to one device; on a CPU batches are not copied.

    pinned: off only to measure the gain of pinned memory.
    """

    def __init__(self, device: torch.device, *, pinned: bool = True) -> None:
        self._device, self._pins = device, pinned
        self._own = threading.local()

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Run the block on this thread's CUDA stream."""
        if self._device.type == "cpu":
            yield
            return
        if not hasattr(self._own, "stream"):
            self._own.stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch's
        with torch.cuda.stream(self._own.stream):
            yield

    def upload(self, batch: np.ndarray[Any, Any]) -> torch.Tensor:
        """Return the batch on the device, before the copy has ended. Use it inside `stream`.

        The pinned memory is free again after a result is copied back, which waits for the stream.
        If a forward pass fails before that, its batch is not read any more, and the next copy
        follows on the same stream. Larger pinned memory may replace it at any time: torch keeps
        the old memory until its copies have ended.
        """
        tensor = torch.from_numpy(batch)
        if self._device.type == "cpu":
            return tensor
        if not self._pins:
            return tensor.to(self._device)
        pinned = self._pinned(tensor)
        pinned.copy_(tensor)
        return pinned.to(self._device, non_blocking=True)

    def _pinned(self, like: torch.Tensor) -> torch.Tensor:
        """Return this thread's pinned memory. It is as large as the largest batch so far."""
        held = getattr(self._own, "held", None)
        size = like.numel() * like.element_size()
        if held is None or held.numel() < size:
            held = self._own.held = torch.empty(size, dtype=torch.uint8, pin_memory=True)
        return held[:size].view(like.dtype).view(like.shape)
