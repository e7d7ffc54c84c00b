"""A benchmark as one self-contained HTML page: charts and numbers. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from inference.tuning.tune import Tuned
from serve.benchmark.report.svg import STYLE as CHART_STYLE
from serve.benchmark.report.svg import Plot
from serve.benchmark.report.table_rows import Rows

STYLE = f"""
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1c2330 }}
body {{ max-width: 1000px; margin: 2em auto; padding: 0 1.5em }}
h1 {{ font-size: 1.5em }} h2 {{ margin-top: 2em }} .spot {{ font-size: 1.15em }}
table {{ border-collapse: collapse }} .warning {{ color: #b45309 }}
td, th {{ padding: .15em .9em; text-align: right; border-bottom: 1px solid #e5e9f0 }}
tr.best td {{ background: #dcfce7; font-weight: 600 }}
{CHART_STYLE}"""


# Facts of one back end's run, and its towers by name.
Run = tuple[Mapping[str, str], Mapping[str, Tuned]]


def page(title: str, runs: Sequence[Run]) -> str:
    """Return the encoder's page: one run, or several below each other."""
    (facts, towers), *others = runs
    body = _sections(towers) + "".join(
        f"<hr><p>{_facts(facts)}</p>{_sections(towers)}" for facts, towers in others
    )
    return document(title, facts, body)


def document(title: str, facts: Mapping[str, str], body: str) -> str:
    """Return the whole page around a body of HTML."""
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{escape(title)}</title>"
        f"<style>{STYLE}</style><h1>{escape(title)}</h1><p>{_facts(facts)}</p>{body}</html>\n"
    )


def table(rows: Rows) -> str:
    """Return a table of text cells; their text is escaped."""
    shown = "".join(
        f"<tr class='{'best' if index == rows.best else ''}'>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for index, row in enumerate(rows.rows)
    )
    head = "".join(f"<th>{escape(one)}</th>" for one in rows.head)
    return f"<table><tr>{head}</tr>{shown}</table>"


def equation(tuned: Tuned) -> str:
    """Return the linear piece of the curve, in words."""
    curve = tuned.curve
    line = f"T(n) = {curve.a_ms:.1f} + {curve.b_ms:.2f} n ms"
    words = f"{line} from n = {curve.knee:.0f} on, R² {curve.r2:.3f}"
    return words if curve.a_ms >= 0 else f"{words}: there latency grows faster than the batch"


def warning(tuned: Tuned) -> str:
    """Return why the result is unreliable; empty when it is reliable."""
    if not tuned.complete:
        return "interrupted: partial, only what was measured until then"
    if tuned.is_noisy:
        return f"too noisy to decide: medians of repeats differ by {tuned.noise:.0%}"
    return ""


def _facts(facts: Mapping[str, str]) -> str:
    return " · ".join(f"{escape(name)}: {escape(value)}" for name, value in facts.items())


def _sections(towers: Mapping[str, Tuned]) -> str:
    return "".join(_section(name, tuned) for name, tuned in towers.items())


def _section(name: str, tuned: Tuned) -> str:
    spot = tuned.spot
    note = warning(tuned)
    return (
        f"<h2>{escape(name)} tower</h2>"
        f"<p class='spot'>Sweet spot: batches of <b>{spot.batch_size}</b>, "
        f"{escape(spot.sentence)}.<br>{escape(equation(tuned))}.</p>"
        + (f"<p class='warning'>{escape(note)}</p>" if note else "")
        + _latency_chart(tuned)
        + _throughput_chart(tuned)
        + _table(tuned)
    )


def _latency_chart(tuned: Tuned) -> str:
    curve, points = tuned.curve, tuned.curve.points
    top = 1.08 * max([point.p95_ms for point in points] + [tuned.latency_target_ms or 0.0])
    title = "Latency, ms (dot p50, bar p95, line fitted)"
    plot = Plot(title, "batch size", [point.n for point in points], top)
    return plot.svg(
        plot.chosen(tuned.spot.batch_size, f"sweet spot {tuned.spot.batch_size}")
        + plot.whiskers([(p.n, p.p50_ms, p.p95_ms) for p in points])
        + plot.line([(n, curve.latency_ms(n)) for n in _steps(tuned)])
        + plot.dots([(p.n, p.p50_ms) for p in points])
        + plot.target(tuned.latency_target_ms)
    )


def _throughput_chart(tuned: Tuned) -> str:
    measured = [(p.n, tuned.items_s(p)) for p in tuned.curve.points]
    top = 1.12 * max(throughput for _, throughput in measured)
    title = "Throughput, items/s (dot measured, line fitted)"
    plot = Plot(title, "batch size", [n for n, _ in measured], top)
    return plot.svg(
        plot.chosen(tuned.spot.batch_size, f"sweet spot {tuned.spot.batch_size}")
        + plot.line([(n, tuned.fitted_items_s(n)) for n in _steps(tuned)])
        + plot.dots(measured)
    )


def _table(tuned: Tuned) -> str:
    points = tuned.curve.points
    rows = [
        (
            str(p.n), f"{p.p50_ms:.2f}", f"{p.p95_ms:.2f}", f"{tuned.items_s(p):.1f}",
            f"{tuned.curve.slope(p.n):.2f}",
        )
        for p in points
    ]  # fmt: skip
    best = [p.n for p in points].index(tuned.spot.batch_size)
    return table(Rows(("batch", "p50 ms", "p95 ms", "items/s", "slope"), rows, best))


def _steps(tuned: Tuned) -> list[float]:
    """Return sizes that are close enough to draw a smooth curve."""
    sizes = [point.n for point in tuned.curve.points]
    low, high = math.log(min(sizes)), math.log(max(sizes))
    return [math.exp(low + (high - low) * step / 80) for step in range(81)]
