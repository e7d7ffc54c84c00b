"""The HTML page of `benchmark pipeline`. Pure."""

from __future__ import annotations

from serve.benchmark.pipeline_stages.flow import flow
from serve.benchmark.pipeline_stages.record import Found
from serve.benchmark.pipeline_stages.tables import (
    encoder_sentence,
    notes,
    price_sentence,
    process_rows,
    shared_sentence,
    speed_sentence,
    stage_rows,
)
from serve.benchmark.report import page as html
from serve.benchmark.report.figures import Axis, Bar, bars


def pipeline_page(found: Found) -> str:
    """Return the whole page."""
    body = (
        html.lead(f"{speed_sentence(found)}; {found.limit}")
        + "".join(html.warning(one) for one in notes(found))
        + html.section("From URLs to embeddings", flow(found))
        + html.section("Against the encoder alone", _speed(found), _sentences(found))
        + html.section("Numbers", html.table(stage_rows(found)), html.table(process_rows(found)))
    )
    return html.document("Sweetspot: pipeline", found.facts, body)


def _speed(found: Found) -> str:
    speed, alone = found.load.items_per_s, found.alone
    return bars(
        "Images a second",
        Axis("images/s"),
        [
            Bar("pipeline", speed, f"{speed:.1f}"),
            Bar("encoder alone", alone, f"{alone:.1f}", "quiet"),
        ],
    )


def _sentences(found: Found) -> str:
    said = (price_sentence(found), encoder_sentence(found), shared_sentence(found))
    return "".join(map(html.note, said))
