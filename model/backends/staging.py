"""The way of a batch to a CUDA device and back: pinned memory, a stream of one's own.

Each thread that runs forward passes has its own, so one thread's copies overlap another's compute.
Not yet run on a device: `python -m benchmarks.gpu` is the check that waits for one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


class Staging:
    """Of one device; on a CPU batches are used where they are.

    pinned: off only to measure what pinned memory is worth.
    """

    def __init__(self, device: torch.device, *, pinned: bool = True) -> None:
        self._device, self._pins = device, pinned
        self._own = threading.local()

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Run what is inside on this thread's CUDA stream."""
        if self._device.type == "cpu":
            yield
            return
        if not hasattr(self._own, "stream"):
            self._own.stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch's
        with torch.cuda.stream(self._own.stream):
            yield

    def upload(self, batch: np.ndarray[Any, Any]) -> torch.Tensor:
        """The batch on the device, before the copy has ended; use it inside `stream`.

        The pinned memory is free again once a result was copied back: that waits for the stream.
        A forward pass that fails in between leaves a copy of a batch that nobody reads, and the
        next copy is behind it on the same stream. Larger pinned memory may replace it at any time:
        torch keeps the old until its copies have ended.
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
        """Pinned memory of this thread, as large as its largest batch so far."""
        held = getattr(self._own, "held", None)
        size = like.numel() * like.element_size()
        if held is None or held.numel() < size:
            held = self._own.held = torch.empty(size, dtype=torch.uint8, pin_memory=True)
        return held[:size].view(like.dtype).view(like.shape)
