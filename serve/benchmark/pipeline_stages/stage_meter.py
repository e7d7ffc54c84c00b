"""Measures the time that images spend in each stage while the pipeline is under load."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from inference.batching.batcher import TowerReport
from inference.loadtest.summary import Outcome
from inference.stats import STAGES
from inference.types import Failure, Result
from serve.benchmark.pipeline_stages.stages import Spent

# Each item occupies one thread in these stages. A forward pass is shared by many items, so the
# encoder's time is taken from its batches.
ONE_EACH = ("fetch", "decode")


class StageMeter:
    """Adds up the requests that start after a warm-up. Thread-safe."""

    def __init__(
        self,
        report: Callable[[], TowerReport],
        warm_up_s: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._report, self._warm_up_s, self._clock = report, warm_up_s, clock
        self._lock = threading.Lock()
        self._counts_from_s: float | None = None
        self._first: TowerReport | None = None
        self._embedded = 0
        self.seen = 0  # images of all answered requests, warm-up included
        self._times_s: dict[str, list[float]] = {stage: [] for stage in STAGES}

    def begin(self) -> bool:
        """Register the start of a request. Returns whether it counts: after the warm-up."""
        with self._lock:
            now_s = self._clock()
            if self._counts_from_s is None:
                self._counts_from_s = now_s + self._warm_up_s
            if now_s < self._counts_from_s:
                return False
            self._first = self._first or self._report()
            return True

    def end(self, results: Sequence[Result], *, counts: bool) -> Outcome:
        """Add a request's results. counts: the result of `begin`. Returns the outcome."""
        failed = Counter(one.code for one in results if isinstance(one, Failure))
        embedded = len(results) - failed.total()
        with self._lock:
            self.seen += len(results)
            if counts:
                self._embedded += embedded
                for one in results:
                    for stage, spent_s in one.times_s.items():
                        self._times_s[stage].append(spent_s)
        return Outcome(embedded, dict(failed))

    def spent(self) -> Spent:
        """Return the averages so far."""
        with self._lock:
            if self._first is None or not self._embedded:
                return Spent()
            images, batches, encode_s = _since(self._first, self._report())
            thread_s = {name: sum(self._times_s[name]) / self._embedded for name in ONE_EACH}
            p50_ms = {
                name: 1000 * statistics.median(times)
                for name, times in self._times_s.items()
                if times
            }
            return Spent(
                thread_s | {"encode": encode_s / images if images else 0.0},
                p50_ms,
                images / batches if batches else None,
            )


def _since(first: TowerReport, last: TowerReport) -> tuple[int, int, float]:
    """Return the images, batches and encoder seconds between two reports."""
    before = Counter({n: times.count for n, times in first.batches.items()})
    ran = Counter({n: times.count for n, times in last.batches.items()})
    ran.subtract(before)
    images = sum(n * count for n, count in ran.items())
    return images, ran.total(), last.encode_s - first.encode_s
