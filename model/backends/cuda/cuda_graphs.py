"""Forward passes of the image tower as CUDA graphs, one for each of a few batch sizes.

A graph launches all kernels of a pass at once, so a small batch does not wait for Python and the
driver. It reads and writes fixed memory, so a batch is padded to the next size.
Not yet run on a device; `python -m benchmarks.gpu` will check it there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

# A pass takes as long as one of its bucket. Larger batches gain nothing from a graph.
BUCKETS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
# Passes before a capture, in which libraries choose kernels and take memory (torch's own advice).
WARM_UPS = 3
Pass = Callable[[torch.Tensor], torch.Tensor]


def bucket_of(count: int, buckets: Sequence[int] = BUCKETS) -> int | None:
    """Return the smallest bucket for a batch of `count`; None if it is larger than all."""
    return min((one for one in buckets if one >= count), default=None)


@dataclass(frozen=True)
class _Captured:
    """A pass on fixed memory. given: its input. replay: runs it and returns its output."""

    given: torch.Tensor
    replay: Callable[[], torch.Tensor]


class CudaGraphs:
    """Runs a pass from the graphs of its buckets; a batch larger than all runs as it is.

    Threads may call it at once, each in its CUDA stream: the device runs their graphs one after
    another, because the graphs share their memory. On a CPU, passes are padded but not captured.
    """

    def __init__(self, run: Pass, side: int, device: torch.device) -> None:
        """run: uint8 [N, S, S, 3] to [N, D], on the device. side: S, px."""
        self._run, self._device = run, device
        self._lock = threading.Lock()
        self._last = torch.cuda.Event() if device.type == "cuda" else None  # type: ignore[no-untyped-call]  # torch's
        self._pool = None if self._last is None else torch.cuda.graph_pool_handle()
        # The largest first: the others then fit into its memory.
        self._captured = {size: self._capture(size, side) for size in reversed(BUCKETS)}

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the embeddings of a batch, before the device has computed them."""
        bucket = bucket_of(len(pixels))
        if bucket is None:
            return self._run(pixels)
        captured = self._captured[bucket]
        with self._alone():
            captured.given[: len(pixels)].copy_(pixels)  # the rest are images of earlier batches
            return captured.replay()[: len(pixels)].clone()

    def _capture(self, size: int, side: int) -> _Captured:
        given = torch.zeros((size, side, side, 3), dtype=torch.uint8, device=self._device)
        if self._last is None:
            return _Captured(given, lambda: self._run(given))
        with torch.cuda.stream(torch.cuda.Stream(self._device)):  # type: ignore[no-untyped-call]  # torch's
            for _ in range(WARM_UPS):
                self._run(given)
        torch.cuda.synchronize(self._device)
        graph = torch.cuda.CUDAGraph()
        # Other models may run in other threads meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            embeddings = self._run(given)

        def replay() -> torch.Tensor:
            graph.replay()
            return embeddings

        return _Captured(given, replay)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Queue the block's work on this thread's stream, after that of other threads' blocks."""
        with self._lock:
            if self._last is None:
                yield
                return
            stream = torch.cuda.current_stream(self._device)
            stream.wait_event(self._last)
            yield
            self._last.record(stream)
