"""Measured combinations of request size and load, and the recommended one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from inference.loadtest.summary import Load

# As for the encoder: a throughput this close to the best counts as equal.
TOLERANCE = 0.05
# An endpoint falls behind when the arrivals take less than this share of the answers' time.
KEPT_UP = 0.9


@dataclass(frozen=True)
class Cell:
    """One combination. batch: images in a request. duration_s: how long requests were started.

    concurrency: requests at once in a closed loop, else None. rate_per_s: requests a second in an
    open loop, else None. core_ms: of the endpoint an image, if it says.
    """

    batch: int
    load: Load
    duration_s: float
    concurrency: int | None = None
    rate_per_s: float | None = None
    core_ms: float | None = None

    @property
    def key(self) -> tuple[int, float, float]:
        """Identifies the cell, and sorts it in tables."""
        return self.batch, self.concurrency or 0, self.rate_per_s or 0.0

    @property
    def label(self) -> str:
        """Short, for charts and lists."""
        if self.concurrency is None:
            return f"{self.batch} at {self.rate_per_s:g}/s"
        return f"{self.batch} x {self.concurrency}"

    @property
    def words(self) -> str:
        """The combination in words."""
        images = f"{self.batch} {'image' if self.batch == 1 else 'images'} a request"
        if self.concurrency is None:
            return f"{images}, {self.rate_per_s:g} requests a second"
        requests = "request" if self.concurrency == 1 else "requests"
        return f"{images}, {self.concurrency} {requests} at once"


@dataclass(frozen=True)
class Choice:
    """A recommendation. cell: None when there is none. sentence: the reason."""

    cell: Cell | None
    sentence: str


def recommend(cells: Iterable[Cell], latency_target_ms: float | None = None) -> Choice:
    """Recommend a cell: the fewest images in flight that are as good as the best.

    Args:
        cells: all of closed loops, or all of open ones. Partial cells, and cells that overloaded
            the endpoint, are skipped.
        latency_target_ms: limit of the 95th percentile of a request; None for no limit.
    """
    measured = [one for one in cells if one.load.complete and one.load.requests]
    if not measured:
        return Choice(None, "no recommendation: no combination was measured completely")
    answered = [one for one in measured if not overwhelmed(one)]
    if not answered:
        return Choice(None, "no recommendation: every combination overloaded the endpoint")
    fitting = [one for one in answered if _keeps(one, latency_target_ms)]
    if not fitting:
        quickest = min(answered, key=_p95_ms)
        return Choice(
            None,
            f"no combination keeps a p95 of {latency_target_ms:g} ms; the quickest, "
            f"{quickest.words}, has {_p95_ms(quickest):.0f} ms",
        )
    within = "" if latency_target_ms is None else f" that keep a p95 of {latency_target_ms:g} ms"
    if fitting[0].concurrency is None:
        return _at_the_edge(_largest_kept_up(fitting, within), measured, "--batch")
    return _at_the_edge(_fewest_in_flight(fitting, within), measured, "--batch or --concurrency")


def _at_the_edge(choice: Choice, measured: Sequence[Cell], flags: str) -> Choice:
    """Say so where nothing larger was measured than what is recommended."""
    if choice.cell is None or _in_flight(choice.cell) < max(map(_in_flight, measured)):
        return choice
    more = f"nothing larger was measured: try a larger {flags}"
    return Choice(choice.cell, f"{choice.sentence}; {more}")


def _in_flight(cell: Cell) -> int:
    """Return the images in flight, or of a request in an open loop."""
    return cell.batch * (cell.concurrency or 1)


def _fewest_in_flight(cells: Sequence[Cell], within: str) -> Choice:
    best = max(cells, key=lambda one: one.load.items_per_s)
    enough = (1 - TOLERANCE) * best.load.items_per_s
    near = [one for one in cells if one.load.items_per_s >= enough]
    chosen = min(near, key=lambda one: (_in_flight(one), _p95_ms(one)))
    why = f"the fewest images in flight within {TOLERANCE:.0%} of the best measured"
    return Choice(chosen, f"{chosen.words}: {_numbers(chosen)}; {why}{within}")


def _largest_kept_up(cells: Sequence[Cell], within: str) -> Choice:
    kept = [one for one in cells if keeps_up(one)]
    if not kept:
        return Choice(None, f"the endpoint keeps up with none of the request sizes{within}")
    chosen = max(kept, key=lambda one: one.batch)
    why = "the largest measured requests that the endpoint keeps up with"
    return Choice(chosen, f"{chosen.words}: {_numbers(chosen)}; {why}{within}")


def pareto_front(cells: Iterable[Cell]) -> list[Cell]:
    """Return the cells that no other beats in both throughput and p95, by ascending throughput."""
    good = [
        one for one in cells if one.load.complete and one.load.requests and not overwhelmed(one)
    ]
    front: list[Cell] = []
    for one in sorted(good, key=lambda one: (-one.load.items_per_s, _p95_ms(one))):
        if one.load.items_per_s > 0 and (not front or _p95_ms(one) < _p95_ms(front[-1])):
            front.append(one)
    return front[::-1]


def overwhelmed(cell: Cell) -> bool:
    """Return whether the load was too high: unanswered requests, or items past their deadline."""
    return bool(cell.load.errors) or "deadline_exceeded" in cell.load.failed


def keeps_up(cell: Cell) -> bool:
    """Return whether no request was dropped and answers did not fall behind arrivals."""
    load = cell.load
    late_s = load.duration_s - (load.p50_ms or 0.0) / 1000
    return not load.dropped and cell.duration_s >= KEPT_UP * late_s


def _keeps(cell: Cell, target_ms: float | None) -> bool:
    return target_ms is None or _p95_ms(cell) <= target_ms


def _p95_ms(cell: Cell) -> float:
    p95_ms = cell.load.p95_ms
    return float("inf") if p95_ms is None else p95_ms


def _numbers(cell: Cell) -> str:
    return f"{cell.load.items_per_s:.1f} images/s, p95 {_p95_ms(cell):.0f} ms"
