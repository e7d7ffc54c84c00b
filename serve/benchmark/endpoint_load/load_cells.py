"""Measured combinations of request size and load, and which of them to take. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from inference.loadtest.summary import Load

# As for the encoder: what is this close to the best is as good.
TOLERANCE = 0.05
# An endpoint falls behind when the arrivals take less than this share of the time of the answers.
KEPT_UP = 0.9


@dataclass(frozen=True)
class Cell:
    """One combination. batch: images in a request. duration_s: in which requests were started.

    concurrency: requests at once, in a closed loop; rate_per_s: requests a second, in an open
    one; one of the two is None.
    """

    batch: int
    load: Load
    duration_s: float
    concurrency: int | None = None
    rate_per_s: float | None = None

    @property
    def key(self) -> tuple[int, float, float]:
        """What tells it from others; in the order of tables."""
        return self.batch, self.concurrency or 0, self.rate_per_s or 0.0

    @property
    def label(self) -> str:
        """Short, for charts and lists."""
        if self.concurrency is None:
            return f"{self.batch} at {self.rate_per_s:g}/s"
        return f"{self.batch} x {self.concurrency}"


@dataclass(frozen=True)
class Choice:
    """What is recommended. cell: None when nothing is. sentence: why."""

    cell: Cell | None
    sentence: str


def recommend(cells: Iterable[Cell], latency_target_ms: float | None = None) -> Choice:
    """The cell with the fewest images in flight that is as good as the best, and why.

    Args:
        cells: all of closed loops, or all of open ones; those that are partial, or were too much
            for the endpoint, are passed over.
        latency_target_ms: of the 95th percentile of a request; None is any.
    """
    measured = [one for one in cells if one.load.complete and one.load.requests]
    if not measured:
        return Choice(None, "nothing is recommended: no combination was measured to its end")
    answered = [one for one in measured if not overwhelmed(one)]
    if not answered:
        return Choice(None, "nothing is recommended: every combination was too much for it")
    fitting = [one for one in answered if _keeps(one, latency_target_ms)]
    if not fitting:
        quickest = min(answered, key=_p95_ms)
        return Choice(
            None,
            f"nothing keeps a p95 of {latency_target_ms:g} ms; the quickest, "
            f"{_words(quickest)}, has {_p95_ms(quickest):.0f} ms",
        )
    within = "" if latency_target_ms is None else f" that keep a p95 of {latency_target_ms:g} ms"
    if fitting[0].concurrency is None:
        return _largest_kept_up(fitting, within)
    return _fewest_in_flight(fitting, within)


def _fewest_in_flight(cells: Sequence[Cell], within: str) -> Choice:
    best = max(cells, key=lambda one: one.load.items_per_s)
    enough = (1 - TOLERANCE) * best.load.items_per_s
    near = [one for one in cells if one.load.items_per_s >= enough]
    chosen = min(near, key=lambda one: (one.batch * (one.concurrency or 1), _p95_ms(one)))
    why = f"the fewest images in flight within {TOLERANCE:.0%} of the best of those measured"
    return Choice(chosen, f"{_words(chosen)}: {_numbers(chosen)}; {why}{within}")


def _largest_kept_up(cells: Sequence[Cell], within: str) -> Choice:
    kept = [one for one in cells if keeps_up(one)]
    if not kept:
        return Choice(None, f"the endpoint keeps up with none of the arrivals{within}")
    chosen = max(kept, key=lambda one: one.batch)
    why = "the largest requests with which the endpoint keeps up, of those measured"
    return Choice(chosen, f"{_words(chosen)}: {_numbers(chosen)}; {why}{within}")


def overwhelmed(cell: Cell) -> bool:
    """Whether the load was too much: requests without an answer, or items out of time."""
    return bool(cell.load.errors) or "deadline_exceeded" in cell.load.failed


def keeps_up(cell: Cell) -> bool:
    """Whether all that arrived was answered, and the last hardly later than the first."""
    load = cell.load
    late_s = load.duration_s - (load.p50_ms or 0.0) / 1000
    return not load.dropped and cell.duration_s >= KEPT_UP * late_s


def _keeps(cell: Cell, target_ms: float | None) -> bool:
    return target_ms is None or _p95_ms(cell) <= target_ms


def _p95_ms(cell: Cell) -> float:
    p95_ms = cell.load.p95_ms
    return float("inf") if p95_ms is None else p95_ms


def _words(cell: Cell) -> str:
    images = "image" if cell.batch == 1 else "images"
    if cell.concurrency is None:
        return f"{cell.batch} {images} a request, {cell.rate_per_s:g} requests a second"
    requests = "request" if cell.concurrency == 1 else "requests"
    return f"{cell.batch} {images} a request, {cell.concurrency} {requests} at once"


def _numbers(cell: Cell) -> str:
    return f"{cell.load.items_per_s:.1f} images/s, p95 {_p95_ms(cell):.0f} ms"
