"""The HTML page of `benchmark endpoint`. Pure."""

from __future__ import annotations

from inference.loadtest.summary import Load, pooled
from serve.benchmark.endpoint_load.interactive import KINDS, Interactive
from serve.benchmark.endpoint_load.load_cells import Cell, pareto_front
from serve.benchmark.endpoint_load.record import Found
from serve.benchmark.endpoint_load.tables import (
    bulk_sentence,
    cell_rows,
    failures,
    grid,
    interactive_rows,
    latencies,
    price_sentence,
)
from serve.benchmark.report import page as html
from serve.benchmark.report.figures import (
    Axis,
    Bar,
    Point,
    Rule,
    Sample,
    Series,
    bars,
    chart,
    strips,
)
from serve.benchmark.report.table_rows import PARTIAL

ONE = "One combination was measured, so there is nothing to compare it with."


def endpoint_page(found: Found) -> str:
    """Return the whole page."""
    notes = [*failures(found), *([] if found.complete else [PARTIAL])]
    body = (
        html.lead(found.choice.sentence)
        + html.note(price_sentence(found))
        + "".join(html.warning(note) for note in notes)
        + html.section("Requests of images", _charts(found), _table(found))
        + _interactive(found.interactive)
    )
    return html.document("Sweetspot: endpoint", found.facts, body)


def _charts(found: Found) -> str:
    return html.side_by_side(_latency_and_throughput(found), _throughput(found)) or (
        html.note(ONE) if found.cells else ""
    )


def _latency_and_throughput(found: Found) -> str:
    """Each combination by what it costs and brings; better is further right and further down."""
    series = [
        Series(name, [_point(one) for _, one in cells if _is_answered(one)])
        for name, cells in grid(found).lines.items()
    ]
    front = [_point(one) for one in pareto_front(found.cells)]
    series.append(Series("best trade-offs", front, "dashed", "quiet"))
    chosen, target_ms = found.choice.cell, found.asked.latency_target_ms
    if chosen is not None:
        series.append(Series(f"recommended {chosen.label}", [_point(chosen)], "dots", "chosen"))
    rules = []
    if target_ms is not None:
        rules.append(Rule(f"target {target_ms:g} ms", y=target_ms, tone="target"))
    return chart(
        "Latency against throughput",
        Axis("images/s"),
        Axis("p95, ms, logarithmic; bars: p50 to p99", "log"),
        [one for one in series if one.points],
        rules,
    )


def _throughput(found: Found) -> str:
    drawn, chosen = grid(found), found.choice.cell
    series = [
        Series(name, [Point(x, one.load.items_per_s, _said(one)) for x, one in cells])
        for name, cells in drawn.lines.items()
    ]
    rules = []
    if drawn.chosen is not None and chosen is not None:
        rules.append(Rule(f"recommended {chosen.label}", x=drawn.chosen))
    ticks = sorted({x for cells in drawn.lines.values() for x, _ in cells})
    return chart("Throughput", Axis(drawn.x_label, "log", ticks), Axis("images/s"), series, rules)


def _table(found: Found) -> str:
    return html.table(cell_rows(found)) if found.cells else ""


def _interactive(found: Interactive | None) -> str:
    if found is None:
        return ""
    return html.section(
        "Single texts and screenshots beside bulk",
        _latencies(found),
        html.table(interactive_rows(found)),
        _bulk(found),
        html.note(bulk_sentence(found)),
    )


def _latencies(found: Interactive) -> str:
    """Return the latencies of each kind as distributions, alone and beside bulk."""
    samples = []
    for kind in KINDS:
        beside = (f"{kind} beside bulk", found.beside_bulk(kind))
        alone = [(f"{kind} alone", found.idle[kind])] if kind in found.idle else []
        samples += [
            Sample(name, load.latencies_ms, _told(name, load))
            for name, load in (*alone, beside)
            if load.latencies_ms
        ]
    return strips("Latency of single requests", Axis("ms, logarithmic", "log"), samples)


def _bulk(found: Interactive) -> str:
    if not found.beside:
        return ""
    alone, beside = pooled(found.alone).items_per_s, found.beside_bulk("bulk").items_per_s
    return bars(
        "Bulk, images a second (medians of the turns)",
        Axis("images/s"),
        [
            Bar("bulk alone", alone, f"{alone:.1f}", "quiet"),
            Bar("beside queries", beside, f"{beside:.1f}"),
        ],
    )


def _is_answered(cell: Cell) -> bool:
    return cell.load.items_per_s > 0 and bool(cell.load.p95_ms)


def _point(cell: Cell) -> Point:
    """Return an answered cell's place, with its range of latencies."""
    load = cell.load
    p95_ms = load.p95_ms or 0.0
    return Point(load.items_per_s, p95_ms, _said(cell), load.p50_ms, load.p99_ms)


def _said(cell: Cell) -> str:
    lost = sum(cell.load.failed.values()) + sum(cell.load.errors.values())
    return _told(cell.words, cell.load) + (f"\n{lost} failed" if lost else "")


def _told(name: str, load: Load) -> str:
    p50, p95, p99 = latencies(load)
    return (
        f"{name}\n{load.items_per_s:.1f} items/s, {load.requests} requests\n"
        f"p50 {p50} ms, p95 {p95} ms, p99 {p99} ms"
    )
