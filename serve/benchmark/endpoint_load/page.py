"""The HTML page of `benchmark endpoint`. Pure."""

from __future__ import annotations

from html import escape

from serve.benchmark.endpoint_load.load_cells import Cell
from serve.benchmark.endpoint_load.record import Found
from serve.benchmark.endpoint_load.tables import (
    Lines,
    bulk_sentence,
    cell_rows,
    failures,
    interactive_rows,
    lines,
)
from serve.benchmark.report.page import document, table
from serve.benchmark.report.svg import Plot
from serve.benchmark.report.table_rows import PARTIAL

COLOURS = ("#2563eb", "#d97706", "#9333ea", "#0891b2", "#db2777", "#4d7c0f", "#64748b", "#b91c1c")


def endpoint_page(found: Found) -> str:
    """Return the whole page."""
    notes = [*failures(found), *([] if found.complete else [PARTIAL])]
    body = (
        f"<p class='spot'>{escape(found.choice.sentence)}.</p>"
        + "".join(f"<p class='warning'>{escape(note)}</p>" for note in notes)
        + (_charts(found) + table(cell_rows(found)) if found.cells else "")
        + _interactive(found)
    )
    return document("Sweetspot: endpoint", found.facts, body)


def _charts(found: Found) -> str:
    throughput = lines(found, lambda cell: cell.load.items_per_s)
    latency = lines(found, lambda cell: cell.load.p95_ms)
    chosen, target = found.choice.cell, found.asked.latency_target_ms
    return (
        _legend(throughput)
        + _chart("Throughput, images/s", throughput, chosen, None)
        + _chart("Latency of a request, p95, ms", latency, chosen, target)
    )


def _chart(title: str, drawn: Lines, chosen: Cell | None, target_ms: float | None) -> str:
    points = [point for line in drawn.points.values() for point in line]
    if not points:
        return ""
    top = 1.12 * max([y for _, y in points] + [target_ms or 0.0]) or 1.0
    plot = Plot(title, drawn.x_label, [x for x, _ in points], top)
    mark = ""
    if chosen is not None and drawn.chosen is not None:
        mark = plot.chosen(drawn.chosen, f"recommended {chosen.label}")
    coloured = list(zip(drawn.points.values(), _colours(drawn), strict=True))
    return plot.svg(
        mark
        + "".join(plot.line(line, colour) + plot.dots(line, colour) for line, colour in coloured)
        + plot.target(target_ms)
    )


def _legend(drawn: Lines) -> str:
    named = zip(drawn.points, _colours(drawn), strict=True)
    return (
        "<p>"
        + " &ensp; ".join(
            f"<span style='color: {colour}'>&#9679;</span> {escape(name)}" for name, colour in named
        )
        + "</p>"
    )


def _colours(drawn: Lines) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(len(drawn.points))]


def _interactive(found: Found) -> str:
    if found.interactive is None:
        return ""
    return (
        "<h2>Single texts and screenshots beside bulk</h2>"
        + table(interactive_rows(found.interactive))
        + f"<p>{escape(bulk_sentence(found.interactive))}</p>"
    )
