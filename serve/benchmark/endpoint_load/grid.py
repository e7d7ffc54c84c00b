"""Run the combinations of request size and load, one after another."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from inference.loadtest.run import closed_loop, open_loop
from inference.loadtest.summary import Outcome
from serve.asking.transports import Transport
from serve.benchmark.endpoint_load.client import Body, invoke
from serve.benchmark.endpoint_load.core_time import measured
from serve.benchmark.endpoint_load.load_cells import Cell
from serve.benchmark.endpoint_load.payload import Bulk
from serve.benchmark.report.terminal import Tell

# In an open loop; requests beyond it are dropped and counted.
MAX_IN_FLIGHT = 128
# Of the shuffle: machines warm up and drift, so a fixed order would favour the last combination.
SEED = 0
WARM_UP_SHARE, MAX_WARM_UP_S = 0.2, 1.0


def warm_up_s(duration_s: float) -> float:
    """Return the warm-up before a measurement of `duration_s`, in seconds."""
    return min(WARM_UP_SHARE * duration_s, MAX_WARM_UP_S)


def call(target: Transport, body: Callable[[], Body]) -> Callable[[], Outcome]:
    """Return a function that sends one request."""
    return lambda: invoke(target, body())


def closed_cells(
    target: Transport,
    bulk: Bulk,
    batches: Sequence[int],
    concurrencies: Sequence[int],
    duration_s: float,
    tell: Tell,
) -> Iterator[Cell]:
    """Measure every request size at every concurrency, in shuffled order."""
    pairs = [(batch, concurrency) for batch in batches for concurrency in concurrencies]
    random.Random(SEED).shuffle(pairs)
    for batch, concurrency in pairs:
        tell(f"{batch} images a request, {concurrency} at once")
        ask = call(target, partial(bulk.body, batch))
        put_load = partial(closed_loop, ask, concurrency, duration_s, warm_up_s(duration_s))
        load, core_ms = measured(target, put_load)
        yield Cell(batch, load, duration_s, concurrency=concurrency, core_ms=core_ms)


def open_cells(
    target: Transport,
    bulk: Bulk,
    batches: Sequence[int],
    rate_per_s: float,
    duration_s: float,
    tell: Tell,
) -> Iterator[Cell]:
    """Measure every request size at one request rate, in shuffled order."""
    for batch in random.Random(SEED).sample(batches, len(batches)):
        tell(f"{batch} images a request, {rate_per_s:g} requests/s")
        ask = call(target, partial(bulk.body, batch))
        loop = partial(open_loop, ask, rate_per_s, duration_s, MAX_IN_FLIGHT, SEED)
        load, core_ms = measured(target, partial(loop, warm_up_s(duration_s)))
        yield Cell(batch, load, duration_s, rate_per_s=rate_per_s, core_ms=core_ms)
