"""Table rows and chart lines of `benchmark endpoint`, for terminal and page. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference.loadtest.summary import Load
from inference.profile.price import money
from serve.benchmark.endpoint_load.interactive import KINDS, Interactive
from serve.benchmark.endpoint_load.load_cells import Cell
from serve.benchmark.endpoint_load.record import Found
from serve.benchmark.report.table_rows import Rows, failed, star


@dataclass(frozen=True)
class Grid:
    """The cells as lines of a chart, by name, each with its x. chosen: x of the recommended one."""

    x_label: str
    lines: dict[str, list[tuple[float, Cell]]]
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
    prices = [_price(found, one) for one in found.cells]
    more = ("core-ms an image", "price of a million") if found.asked.price else ()
    shown = [(*row[:columns], *price) for row, price in zip(rows, prices, strict=True)]
    return Rows((*head[:columns], *more), shown, best)


def price_sentence(found: Found) -> str:
    """Return what a million images and queries cost; empty without a price."""
    price, cell, queries = found.asked.price, found.choice.cell, found.interactive
    if price is None:
        return ""
    said = []
    if cell is not None:
        target = found.asked.latency_target_ms
        within = "" if target is None else f", within a p95 of {target:g} ms"
        cost = money(price.per_million(cell.load.items_per_s))
        said.append(f"a million images cost {cost} as recommended{within}")
    if queries is not None:
        said += [
            f"a million {kind}s alone, one at a time, {money(price.per_million(load.items_per_s))}"
            for kind, load in queries.idle.items()
        ]
        displaced = queries.price_beside_bulk(price)
        if displaced is not None:
            said.append(f"beside bulk, a million queries displace bulk for {money(displaced)}")
    return "; ".join(said)


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
    share, plural = found.bulk_share(), "" if found.rate_per_s == 1 else "s"
    return (
        f"bulk requests, {found.batch} x {found.concurrency}: "
        f"{_turns(found.alone)} images/s alone, "
        f"{_turns([turn['bulk'] for turn in found.beside])} beside "
        f"{found.rate_per_s:g} text{plural} and {found.rate_per_s:g} screenshot{plural} a second"
        + ("" if share is None else f": {share:.2f} of that alone")
    )


def failures(found: Found) -> list[str]:
    """Return the failures of all loads, counted by code, as sentences."""
    loads = [one.load for one in found.cells]
    if found.interactive is not None:
        loads += [*found.interactive.idle.values(), *found.interactive.alone]
        loads += [load for turn in found.interactive.beside for load in turn.values()]
    return failed(loads)


def grid(found: Found) -> Grid:
    """Return the cells over concurrency, a line per size; with one concurrency, over the size."""
    chosen = found.choice.cell
    by_size = len({one.concurrency for one in found.cells}) == 1
    lines: dict[str, list[tuple[float, Cell]]] = {}
    for one in found.cells:
        name = _load_words(one) if by_size else _size_words(one)
        lines.setdefault(name, []).append((_x(one, by_size), one))
    x_label = "images a request" if by_size else "requests at once"
    return Grid(x_label, lines, None if chosen is None else _x(chosen, by_size))


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


def _price(found: Found, cell: Cell) -> tuple[str, ...]:
    price = found.asked.price
    if price is None:
        return ()
    core_ms = "-" if cell.core_ms is None else f"{cell.core_ms:.1f}"
    return core_ms, money(price.per_million(cell.load.items_per_s))


def _counts(load: Load) -> tuple[str, ...]:
    failed, errors = sum(load.failed.values()), sum(load.errors.values())
    return tuple(map(str, (failed, errors, load.retried, load.dropped)))


def _turns(loads: Sequence[Load]) -> str:
    return " / ".join(f"{one.items_per_s:.1f}{star(one)}" for one in loads) or "-"
