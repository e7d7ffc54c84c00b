"""The HTML page of `benchmark encoder`. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from inference.profile.curve import Point as Measurement
from inference.profile.price import Price
from inference.tuning.tune import Tuned
from serve.benchmark.encoder_sizes.prices import price_rows, price_sentence
from serve.benchmark.encoder_sizes.words import equation, warning
from serve.benchmark.report import page as html
from serve.benchmark.report.figures import Axis, Point, Rule, Series, chart
from serve.benchmark.report.table_rows import Rows

# Points of a curve that is drawn smooth.
STEPS = 60

# Facts of one back end's run, and its towers by name.
Run = tuple[Mapping[str, str], Mapping[str, Tuned]]


def encoder_page(
    runs: Sequence[Run],
    price: Price | None = None,
    cores: int | None = None,
    advice: Sequence[str] = (),
) -> str:
    """Return the whole page: one run, or several below each other.

    price: of the machine, if the page is to say what a million items cost. cores: that all runs
    had; None if they ran elsewhere. advice: which of the runs to take.
    """
    advised = "".join([*map(html.lead, advice[:1]), *map(html.note, advice[1:])])
    parts = [
        (html.facts_line(facts) if index else "") + _sections(towers, price, cores)
        for index, (facts, towers) in enumerate(runs)
    ]
    return html.document("Sweetspot: encoder", runs[0][0], advised + "<hr>".join(parts))


def _sections(towers: Mapping[str, Tuned], price: Price | None, cores: int | None) -> str:
    return "".join(
        html.section(f"{name} tower", _tower(tuned), _price(name, tuned, price, cores))
        for name, tuned in towers.items()
    )


def _price(name: str, tuned: Tuned, price: Price | None, cores: int | None) -> str:
    if price is None:
        return ""
    rows = html.table(price_rows(tuned, price, cores))
    return html.note(price_sentence(name, tuned, price)) + rows


def _tower(tuned: Tuned) -> str:
    spot = tuned.spot
    return (
        html.lead(f"Sweet spot: batches of {spot.batch_size}, {spot.sentence}")
        + html.warning(warning(tuned))
        + html.side_by_side(_latency(tuned), _throughput(tuned))
        + html.note(equation(tuned))
        + _table(tuned)
    )


def _latency(tuned: Tuned) -> str:
    """Both axes are logarithmic: what is flat is flat, and what is proportional has slope 1."""
    curve, sizes = tuned.curve, _sizes(tuned)
    measured = [Point(p.n, p.p50_ms, _said(tuned, p), p.p50_ms, p.p95_ms) for p in curve.points]
    has_knee = curve.knee > sizes[0]
    flat = _smooth(curve.latency_ms, sizes[0], curve.knee) if has_knee else []
    linear = _smooth(curve.latency_ms, max(curve.knee, sizes[0]), sizes[-1])
    series = [
        Series("before the knee", flat, "curve", "flat"),
        Series("from it on: a + b n", linear, "curve", "fitted"),
        Series("slope 1: no gain", _slope_1(tuned), "dashed", "quiet"),
        Series("measured, p50 to p95", measured, "dots", "measured"),
    ]
    rules = [Rule(f"knee {curve.knee:.0f}", x=curve.knee, tone="quiet")] if has_knee else []
    if tuned.latency_target_ms is not None:
        label = f"target {tuned.latency_target_ms:g} ms"
        rules.append(Rule(label, y=tuned.latency_target_ms, tone="target"))
    return chart(
        "Latency of a batch",
        _size_axis(tuned),
        Axis("ms, logarithmic", "log"),
        [one for one in series if one.points],
        [*rules, _chosen(tuned)],
    )


def _throughput(tuned: Tuned) -> str:
    sizes = _sizes(tuned)
    measured = [
        Point(p.n, tuned.items_s(p), _said(tuned, p), tuned.items_s(p) * p.p50_ms / p.p95_ms,
              tuned.items_s(p))
        for p in tuned.curve.points
    ]  # fmt: skip
    series = [
        Series("fitted", _smooth(tuned.fitted_items_s, sizes[0], sizes[-1]), "curve", "fitted"),
        Series("measured, at p95 to p50", measured, "dots", "measured"),
    ]
    return chart("Throughput", _size_axis(tuned), Axis("items/s"), series, [_chosen(tuned)])


def _table(tuned: Tuned) -> str:
    rows = [
        (
            str(p.n), f"{p.p50_ms:.2f}", f"{p.p95_ms:.2f}", f"{tuned.items_s(p):.1f}",
            f"{tuned.curve.slope(p.n):.2f}",
        )
        for p in tuned.curve.points
    ]  # fmt: skip
    best = _sizes(tuned).index(tuned.spot.batch_size)
    return html.table(Rows(("batch", "p50 ms", "p95 ms", "items/s", "slope"), rows, best))


def _chosen(tuned: Tuned) -> Rule:
    return Rule(f"sweet spot {tuned.spot.batch_size}", x=tuned.spot.batch_size)


def _said(tuned: Tuned, point: Measurement) -> str:
    return (
        f"batches of {point.n}\np50 {point.p50_ms:.1f} ms, p95 {point.p95_ms:.1f} ms\n"
        f"{tuned.items_s(point):.1f} items/s\nslope {tuned.curve.slope(point.n):.2f}"
    )


def _sizes(tuned: Tuned) -> list[int]:
    return [point.n for point in tuned.curve.points]


def _size_axis(tuned: Tuned) -> Axis:
    """Return the axis of sizes, with numbers at powers of two, or at all if there are none."""
    sizes = _sizes(tuned)
    return Axis("batch size", "log", [n for n in sizes if n & (n - 1) == 0] or sizes)


def _slope_1(tuned: Tuned) -> list[Point]:
    """Return the line of proportional latency that ends at the largest size."""
    sizes, curve = _sizes(tuned), tuned.curve
    end, end_ms = sizes[-1], curve.latency_ms(sizes[-1])
    start = max(sizes[0], end * min(map(curve.latency_ms, sizes)) / end_ms)
    return [Point(n, end_ms * n / end) for n in (start, end)] if start < end else []


def _smooth(value: Callable[[float], float], low: float, high: float) -> list[Point]:
    """Return points of a curve that are close enough to look smooth on a logarithmic axis."""
    if low >= high:
        return []
    step = math.log(high / low) / STEPS
    sizes = [low * math.exp(step * index) for index in range(STEPS)] + [high]
    return [Point(size, value(size)) for size in sizes]
