"""The service under load by URLs, with default and larger settings, and what limits it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from benchmarks.gpu.checkpoints import checkpoint
from benchmarks.gpu.plan import Box, Found, Numbers, Plan
from benchmarks.gpu.readings import Spent, limit, of_card, read, spent, watching_card
from benchmarks.gpu.started import Service, serving, thumbnails
from inference.loadtest.run import ClosedLoop, OpenLoop, together
from inference.loadtest.summary import Load
from inference.profile.machine import cores
from inference.tuning.threads import plain
from serve.asking.transports import HttpTransport
from serve.benchmark.endpoint_load.grid import MAX_IN_FLIGHT, call
from serve.benchmark.endpoint_load.payload import Bulk, screenshots, texts

# Share of a service's time limit for its start.
START_SHARE = 0.6
MAX_SERVERS, CORES_A_SERVER = 4, 4
LATENCY_MS = 20.0


@dataclass(frozen=True)
class Sizes:
    """Sizes of the load. seconds: of a step; single_s: of singles alone. rate: per kind, 1/s."""

    clients: int
    urls: int
    pictures: int
    seconds: float
    single_s: float
    warm_up_s: float
    rate: float


FULL = Sizes(16, 64, 128, seconds=5.0, single_s=1.5, warm_up_s=1.0, rate=4.0)
QUICK = Sizes(2, 4, 16, seconds=0.6, single_s=0.3, warm_up_s=0.1, rate=4.0)
# In addition to `--max-items-in-flight`; without that, half of the clients are refused.
WAYS: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "with room": ("--batch-size", "256", "--io-threads", "256"),
}
# Fixed sizes, because a tune takes seconds.
QUICK_WAYS = {"quick": ("--batch-size", "4", "--text-batch-size", "4")}


def run(plan: Plan, box: Box) -> Found:
    """Start a service for each way; thumbnails and load are the same."""
    sizes, ways = (QUICK, QUICK_WAYS) if plan.quick else (FULL, WAYS)
    numbers: Numbers = {"load": asdict(sizes), "ways": {}}
    servers = max(1, min(MAX_SERVERS, cores() // CORES_A_SERVER))
    with thumbnails(servers, sizes.pictures, LATENCY_MS) as urls:
        for done, (way, options) in enumerate(ways.items()):
            start_s = START_SHARE * box.left_s / (len(ways) - done)
            for numbers["ways"][way] in _measured(plan, sizes, options, urls, start_s):
                box.note(numbers)
    problems = [
        f"{way}, {words}" for way, one in numbers["ways"].items() for words in one["failures"]
    ]
    return Found(numbers, "; ".join(map(_words, numbers["ways"].items())), tuple(problems))


def _measured(
    plan: Plan, sizes: Sizes, options: Sequence[str], urls: Sequence[str], start_s: float
) -> Iterator[Numbers]:
    """Yield the numbers of one service after each step."""
    room = ("--max-items-in-flight", str(2 * sizes.clients * sizes.urls))
    model = ("--model", str(checkpoint(plan, plan.models[0])))
    every = ("--device", plan.device, "--backend", "torch", *model, *room, *options)
    log = plan.folder / "serve.log"
    with watching_card() as lines, serving(every, log, start_s) as service:
        found: Numbers = {"options": [*room, *options], "ready_s": round(service.ready_s, 2)}
        loads: dict[str, Load] = {}
        for step in _steps(service, sizes, urls, plain(cores(), plan.device).streams):
            if isinstance(step, Spent):
                found |= {"used": asdict(step), "limit": limit(step, cores())}
            else:
                loads |= step
            found["loads"] = {name: _numbers(load) for name, load in loads.items()}
            found["failures"] = [w for name, load in loads.items() for w in _failures(name, load)]
            yield found
    yield found | {"card": of_card(lines)}


def _steps(
    service: Service, sizes: Sizes, urls: Sequence[str], streams: int
) -> Iterator[dict[str, Load] | Spent]:
    """Run singles alone, bulk alone with its use of resources, then all together."""
    target = HttpTransport(service.url, sizes.clients + 2 * MAX_IN_FLIGHT)
    body = partial(Bulk("urls", urls).body, sizes.urls)
    bulk = ClosedLoop(call(target, body), sizes.clients)
    asks = {"text": call(target, texts()), "screenshot": call(target, screenshots())}
    for kind, ask in asks.items():
        yield {f"{kind} alone": together([ClosedLoop(ask, 1)], sizes.single_s, sizes.warm_up_s)[0]}
    before = read(service.url, service.pid)
    yield {"bulk alone": together([bulk], sizes.seconds, sizes.warm_up_s)[0]}
    yield spent(before, read(service.url, service.pid), streams)
    singles = [
        OpenLoop(ask, sizes.rate, MAX_IN_FLIGHT, seed) for seed, ask in enumerate(asks.values())
    ]
    loads = together([bulk, *singles], sizes.seconds, sizes.warm_up_s)
    names = ("bulk beside", *(f"{kind} beside" for kind in asks))
    yield dict(zip(names, loads, strict=True))


def _numbers(load: Load) -> Numbers:
    percentiles = {"p50_ms": load.p50_ms, "p95_ms": load.p95_ms, "p99_ms": load.p99_ms}
    return {
        "requests": load.requests,
        "items_s": round(load.items_per_s, 1),
        **{name: None if ms is None else round(ms, 2) for name, ms in percentiles.items()},
        "retried": load.retried,
        "failed": load.failed,
        "errors": load.errors,
    }


def _failures(name: str, load: Load) -> list[str]:
    """List failed items and requests; in this load every item must succeed."""
    found = [f"{count} items failed: {code}" for code, count in load.failed.items()]
    found += [f"{count} requests failed: {code}" for code, count in load.errors.items()]
    if not load.requests:
        found.append("no request was answered")
    return [f"{name}: {words}" for words in found]


def _words(named: tuple[str, Numbers]) -> str:
    way, one = named
    loads = one["loads"]

    def p95(kind: str) -> str:
        alone, beside = loads[f"{kind} alone"]["p95_ms"], loads[f"{kind} beside"]["p95_ms"]
        return f"{kind} p95 {alone or 0:.0f} ms alone, {beside or 0:.0f} beside"

    return (
        f"{way}: {loads['bulk alone']['items_s']:,.0f} images/s, limited by {one['limit']}, "
        f"{p95('text')}, {p95('screenshot')}"
    )
