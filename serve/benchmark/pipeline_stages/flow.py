"""The stages as a flow: how busy each is, its share of an image's time, what limits. Pure."""

from __future__ import annotations

from html import escape

from serve.benchmark.pipeline_stages.record import Found
from serve.benchmark.pipeline_stages.stages import Stage


def flow(found: Found) -> str:
    """Return the HTML of the flow, from URLs to embeddings."""
    total_ms = sum(one.p50_ms or 0.0 for one in found.stages)
    steps = "".join(_step(one, total_ms, one.name in found.limited_by) for one in found.stages)
    return (
        f"<ol class='flow'><li class='end'>URLs</li>{steps}<li class='end'>embeddings</li></ol>"
        if total_ms
        else ""
    )


def _step(stage: Stage, total_ms: float, limits: bool) -> str:
    said = [] if stage.threads is None else [f"{stage.threads} thread{'s' * (stage.threads > 1)}"]
    if stage.p50_ms is not None:
        share = stage.p50_ms / total_ms
        said.append(f"{stage.p50_ms:.1f} ms an image, {share:.0%} of its time")
    return (
        f"<li class='{'limits' if limits else ''}'><b>{escape(stage.name)}</b>"
        + ("<div class='busy'>waiting</div>" if stage.busy is None else _busy(stage.busy))
        + "".join(f"<small>{escape(one)}</small>" for one in said)
        + "</li>"
    )


def _busy(share: float) -> str:
    return (
        f"<div class='busy'>{share:.0%} busy</div>"
        f"<div class='track'><i style='width: {share:.0%}'></i></div>"
    )
