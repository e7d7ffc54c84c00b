"""The HTML page of a training: curves, recalls before and after, the hardest misses. Pure."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from PIL import Image

from model.encoder import UInt8Array
from serve.benchmark.report import page as html
from serve.benchmark.report.figures import Axis, Point, Rule, Series, chart
from serve.commands.train.results.recalls import (
    AT,
    DIRECTIONS,
    SETS,
    Report,
    measured,
    recall_rows,
    sentence,
    sweep_rows,
)

# Steps of the loss that are drawn; more are averaged.
DRAWN_STEPS = 200
# Epochs with a number on the axis.
MOST_TICKS = 10
PICTURE_PX, QUALITY = 160, 80


def training_page(report: Report, facts: Mapping[str, str], pixels: UInt8Array) -> str:
    """Return the whole page. pixels: uint8 [N, S, S, 3], of the held-out pairs."""
    curves = (_curves(report, name, direction) for name, direction in measured(report))
    body = (
        html.lead(sentence(report))
        + html.section("Recall by epoch; epoch 0 is the base", html.side_by_side(*curves))
        + html.section("Between the base and what was learned", *_sweep(report))
        + html.section("Loss", _losses(report))
        + html.section("Before and after", html.table(recall_rows(report)))
        + html.section("Hardest misses", _misses(report, pixels))
    )
    return html.document("Sweetspot: training", facts, body)


def _curves(report: Report, name: str, direction: str) -> str:
    """Return the recalls of one set in one direction, a line for each k."""
    found = [(0, report["before"]), *((one["epoch"], one) for one in report["epochs"])]
    series = [
        Series(f"recall@{k}", [_recall(epoch, one[name][direction][k], k) for epoch, one in found])
        for k in AT
    ]
    rules = [Rule("kept", x=report["best_epoch"])]
    title = f"{DIRECTIONS[direction]}, {SETS[name]}"
    axis = Axis("epoch", ticks=_some([epoch for epoch, _ in found]))
    return chart(title, axis, Axis("recall", most=1.05), series, rules)


def _sweep(report: Report) -> Sequence[str]:
    """Return recall at 1 by the share of the tuned weights; nothing if there was no sweep."""
    if not report["sweep"]:
        return ()
    series = [
        Series(f"{SETS[name]}, {DIRECTIONS[direction]}", _shares(report["sweep"], name, direction))
        for name, direction in measured(report)
    ]
    written = [Rule("written", x=report["options"]["interpolate"])]
    axes = (Axis("share of the tuned weights", ticks=[one["share"] for one in report["sweep"]]),
            Axis("recall@1", most=1.05))  # fmt: skip
    return chart("Interpolation", *axes, series, written), html.table(sweep_rows(report))


def _shares(sweep: Sequence[Report], name: str, direction: str) -> list[Point]:
    found = [(one["share"], one[name][direction]["1"]) for one in sweep]
    return [Point(share, recall, f"share {share:g}\nrecall@1 {recall:.3f}")
            for share, recall in found]  # fmt: skip


def _recall(epoch: int, value: float, k: str) -> Point:
    return Point(epoch, value, f"epoch {epoch}\nrecall@{k} {value:.3f}")


def _some(epochs: Sequence[int]) -> list[int]:
    """Return the epochs that get a number: all, or every so many."""
    return list(epochs[:: -(-len(epochs) // MOST_TICKS)])


def _losses(report: Report) -> str:
    """Return the loss of batches; of several steps the mean, with the least and the greatest."""
    losses = report["losses"]
    step = max(1, -(-len(losses) // DRAWN_STEPS))
    parts = [(first, losses[first : first + step]) for first in range(0, len(losses), step)]
    points = [_loss(first, part) for first, part in parts]
    series = [Series("mean loss of a batch", points, "curve", "measured")]
    return chart("Loss of a batch", Axis("step"), Axis("loss"), series)


def _loss(first: int, part: Sequence[float]) -> Point:
    mean, last = sum(part) / len(part), first + len(part)
    steps = f"step {last}" if len(part) == 1 else f"steps {first + 1} to {last}"
    said = f"{steps}\nloss {mean:.3f}, from {min(part):.3f} to {max(part):.3f}"
    return Point(first + (len(part) + 1) / 2, mean, said)


def _misses(report: Report, pixels: UInt8Array) -> str:
    if not report["hardest"]:
        return html.note("Every held-out text finds its picture first.")
    figures = "".join(_miss(one, pixels) for one in report["hardest"])
    return (
        "<p>Held-out texts whose pictures are found last: at the left the "
        f"picture of the text, at the right what was found first.</p><div class='misses'>{figures}"
        "</div>"
    )


def _miss(one: Mapping[str, Any], pixels: UInt8Array) -> str:
    wanted, found = pixels[one["row"]], pixels[one["found"]]
    return (
        f"<figure>{_picture(wanted, 'the picture of the text')}"
        f"{_picture(found, 'what was found first')}"
        f"<figcaption>{escape(one['text'])}<br>its picture comes at {one['rank'] + 1:,}"
        "</figcaption></figure>"
    )


def _picture(pixels: UInt8Array, words: str) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((PICTURE_PX, PICTURE_PX))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=QUALITY)
    encoded = base64.b64encode(data.getvalue()).decode()
    return f"<img alt='{escape(words)}' src='data:image/jpeg;base64,{encoded}'>"
