"""Table rows and chart lines of `benchmark endpoint`, for terminal and page. Pure."""

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
    """Lines of a chart by name; x_label names the x axis. chosen: x of the recommended cell."""

    x_label: str
    points: dict[str, list[tuple[float, float]]]
    chosen: float | None = None


def cell_rows(found: Found) -> Rows:
    """Return a row for each combination."""
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
    """Return a row for each kind of single request: alone, and beside bulk."""
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
    """Return the bulk's throughput in each turn, without and with the single requests."""
    share = found.bulk_share()
    return (
        f"bulk requests, {found.batch} x {found.concurrency}: "
        f"{_turns(found.alone)} images/s alone, "
        f"{_turns([turn['bulk'] for turn in found.beside])} beside {found.rate_per_s:g} texts and "
        f"{found.rate_per_s:g} screenshots a second"
        + ("" if share is None else f": {share:.2f} of that alone")
    )


def failures(found: Found) -> list[str]:
    """Return the failures of all loads, counted by code, as sentences."""
    loads = [one.load for one in found.cells]
    if found.interactive is not None:
        loads += [*found.interactive.idle.values(), *found.interactive.alone]
        loads += [load for turn in found.interactive.beside for load in turn.values()]
    return failed(loads)


def lines(found: Found, value: Callable[[Cell], float | None]) -> Lines:
    """Return a value over concurrency, a line per size; with one concurrency, over the size."""
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
    """Return p50, p95 and p99 in ms, as text."""
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
