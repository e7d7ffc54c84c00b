"""Measure service times on this machine and choose the batch size on their curve."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inference.profile.curve import Curve, Point, SweetSpot, fit, sweet_spot
from inference.profile.machine import forget_peak, peak_bytes
from inference.tuning.runners import Run
from model.errors import OutOfMemory


@dataclass(frozen=True)
class TuneConfig:
    """How long and how exactly to measure one tower.

    sizes: the first batch sizes. refine: then measure sizes around the choice, and its neighbours
    again. streams: how many batches run at once (`on_streams`). After `min_rounds`, rounds end when
    the medians of even and odd rounds agree within `agreement`, or when `budget_s` is spent. Final
    disagreement above `noisy` marks the result as noisy. max_batch_s: the first size that takes
    longer is the largest. memory_bytes: the most resident memory of this process; sizes that are
    predicted to exceed it are left out.
    """

    sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    refine: bool = True
    budget_s: float = 10.0
    min_rounds: int = 3
    max_rounds: int = 30
    agreement: float = 0.03
    noisy: float = 0.15
    max_batch_s: float = 2.5
    latency_target_ms: float | None = None
    streams: int = 1
    memory_bytes: int | None = None
    seed: int = 0


# For the start of a service: fast rather than exact.
QUICK = TuneConfig(refine=False, budget_s=1.0, min_rounds=2, max_rounds=5, max_batch_s=0.5)


@dataclass(frozen=True)
class Tuned:
    """The result of tuning. samples_ms: all times by size. complete: False if interrupted."""

    curve: Curve
    spot: SweetSpot
    samples_ms: dict[int, list[float]]
    noise: float
    is_noisy: bool
    complete: bool = True
    latency_target_ms: float | None = None
    streams: int = 1

    def items_s(self, point: Point) -> float:
        """Return items per second in batches of a measured size, over all streams."""
        return self.streams * 1000 * point.n / point.p50_ms

    def fitted_items_s(self, n: float) -> float:
        """Return items per second in batches of any size, by the fitted curve."""
        return self.streams * self.curve.throughput(n)


def tune(
    run: Run,
    config: TuneConfig,
    report: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Tuned:
    """Measure, fit, choose.

    Args:
        run: runs one batch of a size; may raise OutOfMemory.
        config: see TuneConfig.
        report: called with progress messages.
        clock: returns seconds.

    Returns:
        The result; after KeyboardInterrupt, that of the measurements so far, marked incomplete.

    Raises:
        OutOfMemory: not even a batch of one fits.
    """
    tuner = _Tuner(run, config, report, clock)
    complete = True
    try:
        tuner.measure(config.sizes)
        if config.refine:
            tuner.measure(around(tuner.spot().batch_size, tuner.samples_ms))
    except KeyboardInterrupt:
        if not tuner.samples_ms:
            raise
        complete = False
    noise = tuner.noise()
    return Tuned(
        curve=tuner.curve(),
        spot=tuner.spot(),
        samples_ms=tuner.samples_ms,
        noise=noise,
        is_noisy=noise > config.noisy,
        complete=complete,
        latency_target_ms=config.latency_target_ms,
        streams=config.streams,
    )


def around(size: int, measured: Collection[int]) -> list[int]:
    """Return a size, its measured neighbours, and 3/4 and 3/2 of the size."""
    ordered = sorted(measured)
    place = ordered.index(size)
    neighbours = ordered[max(0, place - 1) : place + 2]
    return sorted({*neighbours, max(1, size * 3 // 4), max(1, size * 3 // 2)})


class _Tuner:
    def __init__(
        self,
        run: Run,
        config: TuneConfig,
        report: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._run, self._config, self._report, self._clock = run, config, report, clock
        self._limit: int | None = None
        self._drift = 0.0
        self._shuffle = random.Random(config.seed).shuffle
        self.samples_ms: dict[int, list[float]] = {}

    def measure(self, sizes: Sequence[int]) -> None:
        """Warm up every size, then run shuffled rounds until the medians agree."""
        fresh = self._warm_up([n for n in sizes if n not in self.samples_ms])
        fitting = [*fresh, *(n for n in sizes if n in self.samples_ms)]
        before = {n: list(self.samples_ms[n]) for n in fitting if n in self.samples_ms}
        end_s = self._clock() + self._config.budget_s
        for turn in range(1, self._config.max_rounds + 1):
            self._shuffle(fitting)
            for n in fitting:
                self.samples_ms.setdefault(n, []).append(1000 * self._time_s(n))
            self._report(
                f"round {turn} of sizes {min(fitting, default=0)}-{max(fitting, default=0)}"
            )
            self._drift = self._drift_since(before)
            agreed = self.noise() <= self._config.agreement or self._clock() >= end_s
            if not fitting or (turn >= self._config.min_rounds and agreed):
                return

    def curve(self) -> Curve:
        """Fit the curve to the medians so far."""
        return fit(
            [
                Point(n, statistics.median(times), float(np.percentile(times, 95)))
                for n, times in self.samples_ms.items()
            ]
        )

    def spot(self) -> SweetSpot:
        """Return the choice so far."""
        return sweet_spot(self.curve(), self._config.latency_target_ms)

    def noise(self) -> float:
        """Return how far repeats disagree: even and odd rounds, or new and earlier samples."""
        samples = self.samples_ms.values()
        even_odd = statistics.median(_disagreement(t[::2], t[1::2]) for t in samples)
        return max(even_odd, self._drift)

    def _drift_since(self, before: Mapping[int, list[float]]) -> float:
        """Return the median over sizes of the disagreement of new and earlier samples."""
        pairs = [(times, self.samples_ms[n][len(times) :]) for n, times in before.items()]
        return statistics.median(_disagreement(*pair) for pair in pairs) if pairs else 0.0

    def _warm_up(self, sizes: Sequence[int]) -> list[int]:
        """Run each size once, unmeasured; leave out sizes that do not fit or take too long."""
        fitting: list[int] = []
        memory = _Memory(self._config.memory_bytes)
        for n in sorted(sizes):
            if self._limit is None and memory.is_too_small_for(n):
                self._report(f"a batch of {n} would not fit in the available memory")
                self._limit = n - 1
            if self._limit is not None and n > self._limit:
                break
            try:
                took_s = self._time_s(n)
            except OutOfMemory:
                if n == 1:
                    raise
                # Half the size that failed, because other work needs memory too.
                self._limit = n // 2
                self._report(f"a batch of {n} does not fit in memory")
                break
            memory.learn(n)
            fitting.append(n)
            if took_s > self._config.max_batch_s:
                self._report(f"a batch of {n} takes {took_s:.1f} s; larger ones are left out")
                self._limit = n
                break
        return [n for n in fitting if self._limit is None or n <= self._limit]

    def _time_s(self, n: int) -> float:
        start_s = self._clock()
        self._run(n)
        return self._clock() - start_s


class _Memory:
    """Predicts the memory of a batch from the growth per item of the last ones.

    A device refuses memory that it does not have, but the kernel kills the process instead.
    """

    def __init__(self, limit_bytes: int | None) -> None:
        self._limit_bytes = limit_bytes
        self._last = (0, 0)
        self._each_bytes = 0.0
        if limit_bytes is not None:
            forget_peak()

    def learn(self, n: int) -> None:
        """Record a batch of n. The first gives no growth: it allocates what all others reuse."""
        if self._limit_bytes is None:
            return
        (before, before_bytes), now_bytes = self._last, peak_bytes()
        if before and n > before:
            self._each_bytes = (now_bytes - before_bytes) / (n - before)
        self._last = (n, now_bytes)

    def is_too_small_for(self, n: int) -> bool:
        """Return whether a batch of n is predicted to exceed the limit."""
        if self._limit_bytes is None:
            return False
        last, last_bytes = self._last
        return last_bytes + (n - last) * self._each_bytes > self._limit_bytes


def _disagreement(some: Sequence[float], others: Sequence[float]) -> float:
    """Return the relative difference of two medians; 1 if one group is empty."""
    if not some or not others:
        return 1.0
    first, second = statistics.median(some), statistics.median(others)
    return 2 * abs(first - second) / (first + second)
