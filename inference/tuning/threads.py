"""Share the cores between encoding and decoding: measure plans in the pipeline itself."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from inference.config import BatchConfig, EngineConfig, FetchConfig
from inference.engine.engine import Engine
from inference.errors import EncodeFailed
from inference.profile.machine import GIB
from inference.profile.profile import Threads
from inference.tuning.runners import image_runner, interleaved, on_streams
from inference.tuning.tune import QUICK, tune
from inference.types import Failure, ImageBytes
from model.encoder import Encoder

# A plan must be faster than the plain one by this share, because a query has one stream's cores.
WORTH_ANOTHER = 0.05
# The latency of a far thumbnail server; the number of fetching threads is computed from it.
FETCH_LATENCY_S = 0.5
MIN_IO_THREADS, MAX_IO_THREADS = 32, 256
# Processes that decode and fetch.
MOST_PROCESSES = 64
# How each plan's batch size is found. A run of larger batches would take too long.
GUESS = replace(QUICK, sizes=(1, 2, 4, 8, 16))
# Images of a run: at least so many batches, and enough images per core to keep all cores busy.
BATCHES, IMAGES_A_CORE = 4, 8
MIN_ROUNDS, MAX_ROUNDS = 2, 7
PAIRS = 3
DEADLINE_S = 120.0


@dataclass(frozen=True)
class MeasuredThreads:
    """One plan's measurements.

    batch_size: of the runs. images_s: rate of each run, encoded bytes to embeddings. pair_ms: T(2)
    of the image tower.
    """

    threads: Threads
    batch_size: int
    images_s: tuple[float, ...]
    pair_ms: float

    @property
    def median(self) -> float:
        """The median rate, images per second."""
        return statistics.median(self.images_s)


def plain(cores: int, device: str = "cpu", memory_bytes: int | None = None) -> Threads:
    """Return the plan without a measurement: one stream on all cores, one decoding thread a core.

    Two streams on another device: while one computes, the other copies and its thread runs Python.
    """
    return Threads(
        encoder=cores,
        streams=1 if device == "cpu" else 2,
        decode=cores,
        io=MIN_IO_THREADS,
        processes=processes(cores, memory_bytes),
    )


def processes(cores: int, memory_bytes: int | None) -> int:
    """Return how many processes decode and fetch: one for each core, and for each GiB of memory."""
    affordable = cores if memory_bytes is None else memory_bytes // GIB
    return min(cores, affordable, MOST_PROCESSES)


def candidates(plan: Threads) -> list[Threads]:
    """Return the plans to measure instead of the plain one, which is the first of them.

    One, two, four or eight streams share the cores; decoding threads for all cores or for half.
    """
    cores = plan.encoder
    streams = [2**power for power in range(max(1, cores.bit_length())) if 2**power <= cores][:4]
    decoding = list(dict.fromkeys((cores, math.ceil(cores / 2))))
    return [
        Threads(cores // count, count, decode, plan.io, min(plan.processes, decode))
        for count in streams
        for decode in decoding
    ]


def ways(plan: Threads) -> list[Threads]:
    """Return a plan with processes, and the same with threads of the service's process instead."""
    return [plan, replace(plan, processes=0)] if plan.processes else [plan]


def io_threads(images_s: float) -> int:
    """Return the fetching threads for a throughput, by Little's law: rate x time in flight."""
    return max(MIN_IO_THREADS, min(MAX_IO_THREADS, math.ceil(images_s * FETCH_LATENCY_S)))


def measure(
    encoder: Encoder,
    pictures: Sequence[bytes],
    plans: Sequence[Threads],
    budget_s: float = 15.0,
    report: Callable[[str], None] = lambda _: None,
    seed: int = 0,
) -> list[MeasuredThreads]:
    """Run every plan once a round, in shuffled order, each in batches of its own sweet spot.

    At one size for all, the plan with the smaller sweet spot would look faster than it is: one
    stream on two cores needs batches of 8 of ViT-B/32 in int8, two streams of one core need 2.

    Args:
        encoder: stays open; the caller must set its threads afterwards.
        pictures: encoded images, as users send them.
        plans: at least one.
        budget_s: no round begins after it, except the first MIN_ROUNDS.
        report: called with progress messages.
        seed: of the shuffled order.

    Raises:
        EncodeFailed: a picture could not be embedded.
    """
    images_s: dict[Threads, list[float]] = {plan: [] for plan in plans}
    sizes = _batch_sizes(encoder, plans, report)
    order, dice = list(plans), random.Random(seed)
    end_s = time.perf_counter() + budget_s
    for turn in range(MAX_ROUNDS):
        if turn >= MIN_ROUNDS and time.perf_counter() >= end_s:
            break
        dice.shuffle(order)
        for plan in order:
            report(f"round {turn + 1}: {words(plan)}")
            images_s[plan].append(_run(encoder, pictures, sizes[plan], plan))
    return [
        MeasuredThreads(plan, sizes[plan], tuple(rates), _pair_ms(encoder, plan))
        for plan, rates in images_s.items()
    ]


def choose(measured: Sequence[MeasuredThreads], interactive_wait_ms: float) -> Threads:
    """Return the first (plain) plan, or a clearly faster one, with its fetching threads.

    A plan on which two images take longer than a query may wait is excluded: while queries come, it
    could only run images one by one.
    """
    quick = [one for one in measured if one.pair_ms <= interactive_wait_ms]
    best = max([measured[0], *quick], key=lambda one: _gain(one, measured[0]))
    chosen = best if _gain(best, measured[0]) > 1 + WORTH_ANOTHER else measured[0]
    return replace(chosen.threads, io=io_threads(chosen.median))


def _gain(one: MeasuredThreads, other: MeasuredThreads) -> float:
    """Return the median over rounds of the speed-up: within a round, drift affects both equally."""
    return statistics.median(a / b for a, b in zip(one.images_s, other.images_s, strict=True))


def words(plan: Threads) -> str:
    """Describe a plan."""
    streams = f"{plan.streams} stream{'s' if plan.streams > 1 else ''}"
    processes = f"{plan.processes} process{'es' if plan.processes > 1 else ''}"
    where = f" in {processes}" if plan.processes else ""
    return f"{streams} of {plan.encoder}, {plan.decode} decoding{where}"


def _batch_sizes(
    encoder: Encoder, plans: Sequence[Threads], report: Callable[[str], None]
) -> dict[Threads, int]:
    """Return each plan's sweet spot by a quick tune; it depends on the encoder's threads only."""
    found: dict[tuple[int, int], int] = {}
    for plan in plans:
        if (key := (plan.encoder, plan.streams)) not in found:
            encoder.use_threads(*key)
            with on_streams(image_runner(encoder), plan.streams) as run:
                tuned = tune(run, replace(GUESS, streams=plan.streams), report)
            found[key] = tuned.spot.batch_size
    return {plan: found[plan.encoder, plan.streams] for plan in plans}


def _run(encoder: Encoder, pictures: Sequence[bytes], size: int, plan: Threads) -> float:
    """Measure images per second of the engine. The first batch on each stream is not counted."""
    encoder.use_threads(plan.encoder, plan.streams)
    config = EngineConfig(
        image=BatchConfig(size),
        streams=plan.streams,
        cpu_threads=plan.decode,
        processes=plan.processes,
        window=max(EngineConfig.window, 2 * size * plan.streams),
        max_items_in_flight=1_000_000,
    )
    engine = Engine(encoder, FetchConfig(), config)
    try:
        _embed(engine, pictures, size * plan.streams)
        turn = size * plan.streams
        wanted = max(BATCHES * size, IMAGES_A_CORE * plan.encoder * plan.streams)
        count = turn * math.ceil(wanted / turn)
        start_s = time.perf_counter()
        _embed(engine, pictures, count)
        return count / (time.perf_counter() - start_s)
    finally:
        engine.stop()


def _pair_ms(encoder: Encoder, plan: Threads) -> float:
    """Measure the service time of two images on every stream at once, ms."""
    encoder.use_threads(plan.encoder, plan.streams)
    with on_streams(image_runner(encoder), plan.streams) as run:
        run(2)
        (times_ms,) = interleaved(run, [2], PAIRS).values()
    return statistics.median(times_ms)


def _embed(engine: Engine, pictures: Sequence[bytes], count: int) -> None:
    # Equal items are encoded only once, so each gets a number after the end of its image data.
    items = [
        ImageBytes(pictures[index % len(pictures)] + index.to_bytes(4, "little"))
        for index in range(count)
    ]
    for result in engine.embed(items, time.monotonic() + DEADLINE_S, lane="bulk").results:
        if isinstance(result, Failure):
            raise EncodeFailed(f"a picture of the measurement failed: {result.message}")
