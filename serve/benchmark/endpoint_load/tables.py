"""What was found of an endpoint, as rows and lines, for the terminal and the page alike. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inference.loadtest.summary import Load
from serve.benchmark.endpoint_load.interactive import KINDS, Interactive
from serve.benchmark.endpoint_load.load_cells import Cell
from serve.benchmark.endpoint_load.record import Found
from serve.benchmark.report.table_rows import Rows, failed, star


@dataclass(frozen=True)
class Lines:
    """Lines of a chart, by name, over what x_label says. chosen: x of the recommended cell."""

    x_label: str
    points: dict[str, list[tuple[float, float]]]
    chosen: float | None = None


def cell_rows(found: Found) -> Rows:
    """A row for each combination."""
    is_open = any(one.concurrency is None for one in found.cells)
    head = (
        "batch", "req/s" if is_open else "at once", "images/s", "p50 ms", "p95 ms",
        "p99 ms", "failed", "errors", "retried", "dropped",
    )  # fmt: skip
    rows = [
        (
            str(one.batch), _load(one), f"{one.load.items_per_s:.1f}{star(one.load)}",
            *latencies(one.load), *_counts(one.load),
        )
        for one in found.cells
    ]  # fmt: skip
    columns = len(head) if is_open else len(head) - 1  # a closed loop drops nothing
    chosen = found.choice.cell
    best = None if chosen is None else list(found.cells).index(chosen)
    return Rows(head[:columns], [row[:columns] for row in rows], best)


def interactive_rows(found: Interactive) -> Rows:
    """A row for each kind of single request: alone, and beside bulk."""
    head = (
        "request", "alone p50 / p95 / p99 ms", "beside bulk p50 / p95 / p99 ms", "p50 ratio",
        "requests", "lost",
    )  # fmt: skip
    rows = []
    for kind in KINDS:
        beside, slowdown = found.beside_bulk(kind), found.slowdown(kind)
        alone = " / ".join(latencies(found.idle[kind])) if kind in found.idle else "-"
        ratio = "-" if slowdown is None else f"{slowdown:.2f}"
        lost = sum(beside.errors.values()) + beside.dropped
        together = " / ".join(latencies(beside))
        rows.append((kind, alone, together, ratio, str(beside.requests), str(lost)))
    return Rows(head, rows)


def bulk_sentence(found: Interactive) -> str:
    """How the bulk fared without and with the single requests, turn by turn."""
    share = found.bulk_share()
    return (
        f"bulk requests, {found.batch} x {found.concurrency}: "
        f"{_turns(found.alone)} images/s alone, "
        f"{_turns([turn['bulk'] for turn in found.beside])} beside {found.rate_per_s:g} texts and "
        f"{found.rate_per_s:g} screenshots a second"
        + ("" if share is None else f": {share:.2f} of that alone")
    )


def failures(found: Found) -> list[str]:
    """What failed in any of the loads, by code."""
    loads = [one.load for one in found.cells]
    if found.interactive is not None:
        loads += [*found.interactive.idle.values(), *found.interactive.alone]
        loads += [load for turn in found.interactive.beside for load in turn.values()]
    return failed(loads)


def lines(found: Found, value: Callable[[Cell], float | None]) -> Lines:
    """A value against requests at once, a line per request size; or against the size alone."""
    chosen = found.choice.cell
    by_size = len({one.concurrency for one in found.cells}) == 1
    points: dict[str, list[tuple[float, float]]] = {}
    for one in found.cells:
        y = value(one)
        if y is not None:
            name = _load_words(one) if by_size else _size_words(one)
            points.setdefault(name, []).append((_x(one, by_size), y))
    x_label = "images a request" if by_size else "requests at once"
    return Lines(x_label, points, None if chosen is None else _x(chosen, by_size))


def latencies(load: Load) -> tuple[str, str, str]:
    """The three percentiles in ms."""
    shown = (
        "-" if one is None else f"{one:.1f}" for one in (load.p50_ms, load.p95_ms, load.p99_ms)
    )
    p50, p95, p99 = shown
    return p50, p95, p99


def _x(cell: Cell, by_size: bool) -> float:
    return float(cell.batch if by_size else cell.concurrency or 1)


def _load(cell: Cell) -> str:
    return f"{cell.rate_per_s:g}" if cell.concurrency is None else str(cell.concurrency)


def _load_words(cell: Cell) -> str:
    return f"{_load(cell)} {'requests/s' if cell.concurrency is None else 'at once'}"


def _size_words(cell: Cell) -> str:
    return "1 image" if cell.batch == 1 else f"{cell.batch} images"


def _counts(load: Load) -> tuple[str, ...]:
    failed, errors = sum(load.failed.values()), sum(load.errors.values())
    return tuple(map(str, (failed, errors, load.retried, load.dropped)))


def _turns(loads: Sequence[Load]) -> str:
    return " / ".join(f"{one.items_per_s:.1f}{star(one)}" for one in loads) or "-"
