"""A benchmark as one HTML page that needs nothing else: charts and numbers. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from inference.tune import Tuned

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 30, 40
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2330 }
body { max-width: 1000px; margin: 2em auto; padding: 0 1.5em }
h1 { font-size: 1.5em } h2 { margin-top: 2em } .spot { font-size: 1.15em }
svg { margin: 0 .8em .8em 0 } text { font: 11px system-ui, sans-serif; fill: #566 }
.title { font-size: 13px; font-weight: 600; fill: #1c2330 } .axis { stroke: #ccd }
.measured { fill: #2563eb } .whisker { stroke: #2563eb; opacity: .45 }
.fit { fill: none; stroke: #f59e0b; stroke-width: 2 } .chosen { stroke: #16a34a; stroke-width: 2 }
.target { stroke: #dc2626; stroke-dasharray: 5 4 } .note { fill: #16a34a; font-weight: 600 }
.red { fill: #dc2626 } table { border-collapse: collapse } .warning { color: #b45309 }
td, th { padding: .15em .9em; text-align: right; border-bottom: 1px solid #e5e9f0 }
tr.best td { background: #dcfce7; font-weight: 600 }
"""


def page(title: str, facts: Mapping[str, str], towers: Mapping[str, Tuned]) -> str:
    """The whole page. facts: what it was measured on, shown as they are."""
    shown = " · ".join(f"{escape(name)}: {escape(value)}" for name, value in facts.items())
    sections = "".join(_section(name, tuned) for name, tuned in towers.items())
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{escape(title)}</title>"
        f"<style>{STYLE}</style><h1>{escape(title)}</h1><p>{shown}</p>{sections}</html>\n"
    )


def equation(tuned: Tuned) -> str:
    """The linear piece in words."""
    curve = tuned.curve
    line = f"T(n) = {curve.a_ms:.1f} + {curve.b_ms:.2f} n ms"
    words = f"{line} from n = {curve.knee:.0f} on, R² {curve.r2:.3f}"
    return words if curve.a_ms >= 0 else f"{words}: there it grows faster than the batch"


def warning(tuned: Tuned) -> str:
    """What limits the trust in it; empty when nothing does."""
    if not tuned.complete:
        return "interrupted: partial, only what was measured until then"
    if tuned.is_noisy:
        return f"too noisy to decide: medians of repeats differ by {tuned.noise:.0%}"
    return ""


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
    top = max(point.p95_ms for point in points) * 1.08
    if tuned.latency_target_ms is not None:
        top = max(top, tuned.latency_target_ms * 1.08)
    x, y = _scale_x(tuned), _scale_y(top)
    whiskers = "".join(
        f"<line class='whisker' x1='{x(p.n):.1f}' x2='{x(p.n):.1f}' "
        f"y1='{y(p.p50_ms):.1f}' y2='{y(p.p95_ms):.1f}'/>"
        for p in points
    )
    dots = _dots([(x(p.n), y(p.p50_ms)) for p in points])
    fitted = _path([(x(n), y(curve.latency_ms(n))) for n in _steps(tuned)])
    target = ""
    if tuned.latency_target_ms is not None:
        height = y(tuned.latency_target_ms)
        target = (
            f"<line class='target' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{height:.1f}' "
            f"y2='{height:.1f}'/><text class='red' x='{LEFT + 6}' y='{height - 4:.1f}'>target "
            f"{tuned.latency_target_ms:g} ms</text>"
        )
    title = "Latency, ms (dot p50, bar p95, line fitted)"
    return _chart(title, tuned, top, whiskers + fitted + dots + target)


def _throughput_chart(tuned: Tuned) -> str:
    curve, points = tuned.curve, tuned.curve.points
    top = max(1000 * point.n / point.p50_ms for point in points) * 1.12
    x, y = _scale_x(tuned), _scale_y(top)
    dots = _dots([(x(p.n), y(1000 * p.n / p.p50_ms)) for p in points])
    fitted = _path([(x(n), y(curve.throughput(n))) for n in _steps(tuned)])
    return _chart("Throughput, items/s (dot measured, line fitted)", tuned, top, fitted + dots)


def _chart(title: str, tuned: Tuned, top: float, drawn: str) -> str:
    x, y = _scale_x(tuned), _scale_y(top)
    floor, chosen = HEIGHT - BOTTOM, x(tuned.spot.batch_size)
    ticks = "".join(
        f"<line class='axis' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y(v):.1f}' y2='{y(v):.1f}'/>"
        f"<text x='{LEFT - 6}' y='{y(v) + 4:.1f}' text-anchor='end'>{v:g}</text>"
        for v in _round_numbers(top)
    )
    sizes = [p.n for p in tuned.curve.points]
    labelled = [n for n in sizes if n & (n - 1) == 0] or sizes
    ticks += "".join(
        f"<text x='{x(n):.1f}' y='{floor + 16}' text-anchor='middle'>{n}</text>" for n in labelled
    )
    anchor = "end" if chosen > WIDTH / 2 else "start"
    shift = -6 if anchor == "end" else 6
    return (
        f"<svg width='{WIDTH}' height='{HEIGHT}' role='img' aria-label='{escape(title)}'>"
        f"<text class='title' x='{LEFT}' y='16'>{escape(title)}</text>{ticks}"
        f"<line class='chosen' x1='{chosen:.1f}' x2='{chosen:.1f}' y1='{TOP}' y2='{floor}'/>"
        f"<text class='note' x='{chosen + shift:.1f}' y='{TOP + 12}' text-anchor='{anchor}'>"
        f"sweet spot {tuned.spot.batch_size}</text>{drawn}"
        f"<text x='{(LEFT + WIDTH - RIGHT) / 2}' y='{HEIGHT - 6}' text-anchor='middle'>batch size"
        "</text></svg>"
    )


def _table(tuned: Tuned) -> str:
    rows = "".join(
        f"<tr class='{'best' if p.n == tuned.spot.batch_size else ''}'><td>{p.n}</td>"
        f"<td>{p.p50_ms:.2f}</td><td>{p.p95_ms:.2f}</td><td>{1000 * p.n / p.p50_ms:.1f}</td>"
        f"<td>{tuned.curve.slope(p.n):.2f}</td></tr>"
        for p in tuned.curve.points
    )
    head = "<tr><th>batch</th><th>p50 ms</th><th>p95 ms</th><th>items/s</th><th>slope</th></tr>"
    return f"<table>{head}{rows}</table>"


def _scale_x(tuned: Tuned) -> Callable[[float], float]:
    """Batch sizes on a logarithmic scale, px."""
    sizes = [point.n for point in tuned.curve.points]
    low, high = math.log(min(sizes)), math.log(max(sizes))
    width = WIDTH - LEFT - RIGHT - 16
    return lambda n: LEFT + 8 + width * ((math.log(n) - low) / (high - low) if high > low else 0.5)


def _scale_y(top: float) -> Callable[[float], float]:
    """Values from 0 to `top`, px from above."""
    return lambda value: HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * max(0.0, value) / top


def _steps(tuned: Tuned) -> list[float]:
    """Sizes close enough to draw a curve through."""
    sizes = [point.n for point in tuned.curve.points]
    low, high = math.log(min(sizes)), math.log(max(sizes))
    return [math.exp(low + (high - low) * step / 80) for step in range(81)]


def _round_numbers(top: float) -> list[float]:
    """Some four round numbers below `top`."""
    raw = top / 4
    unit = 10 ** math.floor(math.log10(raw))
    step = unit * next(m for m in (1, 2, 5, 10) if m * unit >= raw)
    return [step * index for index in range(int(top / step) + 1)]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return (
        "<polyline class='fit' points='" + " ".join(f"{x:.1f},{y:.1f}" for x, y in points) + "'/>"
    )


def _dots(points: Sequence[tuple[float, float]]) -> str:
    return "".join(
        f"<circle class='measured' cx='{x:.1f}' cy='{y:.1f}' r='3.5'/>" for x, y in points
    )
