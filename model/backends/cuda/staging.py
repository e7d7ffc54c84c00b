"""Copies of batches to a CUDA device: pinned memory and one stream per thread.

Each thread that runs forward passes has both, so one thread's copies overlap another's compute.
Not yet run on a device; `python -m benchmarks.gpu` will check it there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from model.backends.gather import Array, Gather, gathered


class Staging:
    """Copies to one device; on a CPU batches are not copied.

    pinned: off only to measure the gain of pinned memory.
    """

    def __init__(self, device: torch.device, *, pinned: bool = True) -> None:
        self._device, self._pins = device, pinned
        self._own = threading.local()
        self._gather = Gather()

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

    def upload(self, batch: Array | Sequence[Array]) -> torch.Tensor:
        """Return a batch, N arrays of one shape, on the device, before the copy has ended.

        Use it inside `stream`. Arrays in memory of their own are gathered in pinned memory, so each
        byte is copied once before the device takes it.

        The pinned memory is free again after a result is copied back, which waits for the stream.
        If a forward pass fails before that, its batch is not read any more, and the next copy
        follows on the same stream. Larger pinned memory may replace it at any time: torch keeps
        the old memory until its copies have ended.
        """
        if self._device.type == "cpu" or not self._pins:
            return torch.from_numpy(self._gather(batch)).to(self._device)
        memory = self._pinned(len(batch) * batch[0].nbytes)
        host = gathered(batch, out=memory.numpy())
        dtype = torch.from_numpy(host).dtype
        pinned = memory[: host.nbytes].view(dtype).view(host.shape)
        return pinned.to(self._device, non_blocking=True)

    def _pinned(self, size: int) -> torch.Tensor:
        """Return this thread's pinned memory, uint8, as large as its largest batch so far."""
        held: torch.Tensor | None = getattr(self._own, "held", None)
        if held is None or held.numel() < size:
            held = self._own.held = torch.empty(size, dtype=torch.uint8, pin_memory=True)
        return held
