"""The HTML page of the sweep: what queries gain and bulk loses, by setting. Pure."""

from __future__ import annotations

from serve.benchmark.endpoint_load.interactive import KINDS
from serve.benchmark.query_sweep.record import SETTING, Found, Setting
from serve.benchmark.query_sweep.tables import idle_sentence, notes, setting_rows
from serve.benchmark.report import page as html
from serve.benchmark.report.figures import Axis, Point, Rule, Series, chart

ONE = "One setting was measured, so there is no curve."


def sweep_page(found: Found) -> str:
    """Return the whole page."""
    body = (
        html.lead(found.choice.sentence)
        + "".join(html.warning(note) for note in notes(found))
        + _curves(found)
        + html.table(setting_rows(found))
        + html.note(idle_sentence(found))
    )
    return html.document("Sweetspot: queries beside bulk", found.facts, body)


def _curves(found: Found) -> str:
    if len(found.settings) < 2:
        return html.note(ONE)
    return html.side_by_side(_latency(found), _bulk(found))


def _latency(found: Found) -> str:
    series = [Series(kind, _p95s(found, kind)) for kind in KINDS]
    rules = _named(found)
    if found.asked.target_ms is not None:
        label = f"target for texts, {found.asked.target_ms:g} ms"
        rules.append(Rule(label, y=found.asked.target_ms, tone="target"))
    shown = [one for one in series if one.points]
    return chart("Queries beside bulk, p95", _axis(found), Axis("ms"), shown, rules)


def _p95s(found: Found, kind: str) -> list[Point]:
    return [_point(one, p95_ms) for one in found.settings if (p95_ms := one.p95_ms(kind))]


def _bulk(found: Found) -> str:
    kept = [_point(one, one.keeps) for one in found.settings if one.keeps is not None]
    axis = Axis("images/s beside queries / alone")
    return chart("What bulk keeps", _axis(found), axis, [Series("bulk", kept)], _named(found))


def _named(found: Found) -> list[Rule]:
    named = found.choice.wait_ms
    return [] if named is None else [Rule(f"take {named}", x=named)]


def _axis(found: Found) -> Axis:
    return Axis(f"{SETTING}, logarithmic", "log", [one.wait_ms for one in found.settings])


def _point(one: Setting, value: float) -> Point:
    p95s = (f"{kind} p95 {p95_ms:.0f} ms" for kind in KINDS if (p95_ms := one.p95_ms(kind)))
    keeps = [] if one.keeps is None else [f"bulk keeps {one.keeps:.2f}"]
    return Point(one.wait_ms, value, "\n".join([f"{SETTING} {one.wait_ms}", *p95s, *keeps]))
