"""The HTML page of `benchmark pipeline`. Pure."""

from __future__ import annotations

from html import escape

from serve.benchmark.pipeline_stages.record import Found
from serve.benchmark.pipeline_stages.tables import (
    encoder_sentence,
    notes,
    process_rows,
    shared_sentence,
    speed_sentence,
    stage_rows,
)
from serve.benchmark.report.page import document, table
from serve.benchmark.report.svg import Bar, bars


def pipeline_page(found: Found) -> str:
    """Return the whole page."""
    body = (
        f"<p class='spot'><b>{escape(speed_sentence(found))}</b><br>{escape(found.limit)}.</p>"
        + "".join(f"<p class='warning'>{escape(one)}</p>" for one in notes(found))
        + _busy(found)
        + _speed(found)
        + table(stage_rows(found))
        + table(process_rows(found))
        + f"<p>{escape(encoder_sentence(found))}<br>{escape(shared_sentence(found))}</p>"
    )
    return document("Sweetspot: pipeline", found.facts, body)


def _busy(found: Found) -> str:
    shares = [(one.name, one.busy) for one in found.stages if one.busy is not None]
    drawn = [Bar(name, busy, f"{busy:.0%}") for name, busy in shares]
    return bars("Busy share of each stage's threads", drawn) if drawn else ""


def _speed(found: Found) -> str:
    speeds = {"pipeline": found.load.items_per_s, "encoder alone": found.alone}
    top = max(speeds.values())
    drawn = [Bar(name, speed / top, f"{speed:.1f}") for name, speed in speeds.items()]
    return bars("Images a second", drawn)
