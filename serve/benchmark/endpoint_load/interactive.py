"""Latency of single texts and screenshots beside bulk requests, and throughput of the bulk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from inference.loadtest.run import ClosedLoop, OpenLoop, closed_loop, together
from inference.loadtest.summary import Load, Outcome, pooled
from inference.profile.price import Price
from serve.asking.transports import Transport
from serve.benchmark.endpoint_load.grid import MAX_IN_FLIGHT, call, warm_up_s
from serve.benchmark.endpoint_load.payload import Bulk, screenshots, texts
from serve.benchmark.report.terminal import Tell

# A service time needs at least this many requests.
AT_LEAST = 15
KINDS = ("text", "screenshot")
# Sends one request.
Asking = Callable[[], Outcome]


@dataclass
class Interactive:
    """Measurements so far.

    rate_per_s: requests a second of each kind. idle: each kind alone, one request at a time.
    alone: bulk alone, a load for each turn. beside: the same for bulk and both kinds together.
    """

    rate_per_s: float
    batch: int
    concurrency: int
    idle: dict[str, Load] = field(default_factory=dict)
    alone: list[Load] = field(default_factory=list)
    beside: list[dict[str, Load]] = field(default_factory=list)

    def beside_bulk(self, kind: str) -> Load:
        """Pool all turns of a kind, or of `bulk`, beside the others."""
        return pooled([turn[kind] for turn in self.beside])

    def slowdown(self, kind: str) -> float | None:
        """Return median latency beside bulk / median latency on the idle endpoint."""
        idle = self.idle[kind].p50_ms if kind in self.idle else None
        beside = self.beside_bulk(kind).p50_ms
        return beside / idle if beside is not None and idle else None

    def bulk_share(self) -> float | None:
        """Return median throughput of bulk beside the others / median throughput alone."""
        alone = pooled(self.alone).items_per_s
        return self.beside_bulk("bulk").items_per_s / alone if self.beside and alone else None

    def price_beside_bulk(self, price: Price) -> float | None:
        """Return the price of the bulk that a million queries displace; None if not measured."""
        share = self.bulk_share()
        if share is None:
            return None
        return price.per_million(len(KINDS) * self.rate_per_s, seconds=max(0.0, 1 - share))


def steps(repeats: int) -> int:
    """Return how many steps `measure` reports."""
    return len(KINDS) + 2 * repeats


def measure(
    into: Interactive, target: Transport, bulk: Bulk, duration_s: float, repeats: int, tell: Tell
) -> None:
    """Measure each kind alone, then bulk with and without both kinds. Fills `into`.

    Args:
        into: filled step by step.
        target: the endpoint.
        bulk: content of the bulk requests.
        duration_s: of each step; a kind alone runs longer if it needs to for 15 requests.
        repeats: turns with and without the single requests.
        tell: called at each step.

    Raises:
        KeyboardInterrupt: interrupted; `into` holds the measurements so far.
    """
    kinds = singles(target)
    for kind, ask in kinds.items():
        tell(f"a {kind} alone")
        load = closed_loop(ask, 1, duration_s, warm_up_s(duration_s), AT_LEAST)
        into.idle[kind] = load
        _stop_if_interrupted(load)
    turns = Turns(into, call(target, lambda: bulk.body(into.batch)))
    for turn in range(repeats):
        # Alternate, since machines drift; every second turn reverses the order.
        for beside in (False, True) if turn % 2 == 0 else (True, False):
            tell(f"bulk {'beside texts and screenshots' if beside else 'alone'}, turn {turn + 1}")
            turns.take(kinds if beside else {}, duration_s, turn)


def singles(target: Transport) -> dict[str, Asking]:
    """Return what asks for one query of each kind."""
    return {"text": call(target, texts()), "screenshot": call(target, screenshots())}


@dataclass(frozen=True)
class Turns:
    """Measures turns. into: is filled. ask_bulk: sends one bulk request."""

    into: Interactive
    ask_bulk: Asking

    def take(
        self, kinds: Mapping[str, Callable[[], Outcome]], duration_s: float, turn: int
    ) -> None:
        """Measure bulk alone, or beside queries of each kind. Raises KeyboardInterrupt."""
        loops: list[ClosedLoop | OpenLoop] = [ClosedLoop(self.ask_bulk, self.into.concurrency)]
        for index, ask in enumerate(kinds.values()):
            seed = len(KINDS) * turn + index
            loops.append(OpenLoop(ask, self.into.rate_per_s, MAX_IN_FLIGHT, seed))
        loads = together(loops, duration_s, warm_up_s(duration_s))
        if kinds:
            self.into.beside.append(dict(zip(("bulk", *kinds), loads, strict=True)))
        else:
            self.into.alone.append(loads[0])
        _stop_if_interrupted(loads[0])


def _stop_if_interrupted(load: Load) -> None:
    if not load.complete:
        raise KeyboardInterrupt
