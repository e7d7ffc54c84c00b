"""The time that requests and items spend in each stage."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STAGES = ("fetch", "decode", "queue", "encode")


class StageTimes:
    """The wall-clock span of each stage over all items of one request; never a sum over items."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: dict[str, tuple[float, float]] = {}
        self._begun_s = time.perf_counter()

    def add(self, stage: str, start_s: float, end_s: float) -> None:
        """Widen the span of a stage to hold [start_s, end_s] of `time.perf_counter`."""
        with self._lock:
            first, last = self._spans.get(stage, (start_s, end_s))
            self._spans[stage] = (min(first, start_s), max(last, end_s))

    def spans(self) -> dict[str, tuple[float, float]]:
        """Return the first start and the last end of each stage so far: of `time.perf_counter`."""
        with self._lock:
            return dict(self._spans)

    def as_ms(self) -> dict[str, float]:
        """`fetch_ms`, `decode_ms`, `queue_ms`, `encode_ms`, and `total_ms` until now."""
        spans = self.spans()
        spans["total"] = (self._begun_s, time.perf_counter())
        durations_s = ((stage, *spans.get(stage, (0.0, 0.0))) for stage in (*STAGES, "total"))
        return {f"{stage}_ms": round(1000 * (end - start), 3) for stage, start, end in durations_s}


class ItemTimes:
    """The time each stage spent on one item; it also widens the spans of the item's request."""

    def __init__(self, request: StageTimes) -> None:
        self.request = request
        self._lock = threading.Lock()
        self.spent_s: dict[str, float] = {}

    def add(self, stage: str, start_s: float, end_s: float) -> None:
        """Add a stage of the item from start to end, instants of `time.perf_counter`."""
        with self._lock:
            self.spent_s[stage] = self.spent_s.get(stage, 0.0) + end_s - start_s
        self.request.add(stage, start_s, end_s)


@contextmanager
def measured(stage: str, add: Callable[[str, float, float], None]) -> Iterator[None]:
    """Add the time that the block takes, even if it raises. add: as `ItemTimes.add`."""
    start_s = time.perf_counter()
    try:
        yield
    finally:
        add(stage, start_s, time.perf_counter())
