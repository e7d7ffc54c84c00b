"""Recalls before and after a training, as tables. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from serve.benchmark.report.table_rows import Rows

AT = ("1", "5", "10")
DIRECTIONS = {"text_to_image": "text to image", "image_to_text": "image to text"}
SETS = {"held_out": "held out", "forgetting": "the base's own"}

# `model.training.report.Report.as_dict`.
Report = Mapping[str, Any]


def measured(report: Report) -> Iterator[tuple[str, str]]:
    """Yield each set that was measured, with each direction, by their keys."""
    for name in SETS:
        if report["before"].get(name):
            yield from ((name, direction) for direction in DIRECTIONS)


def recall_rows(report: Report) -> Rows:
    """Return the recalls before and after, and their difference."""
    rows = [
        (
            SETS[name],
            DIRECTIONS[direction],
            f"@{k}",
            f"{(before := report['before'][name][direction][k]):.3f}",
            f"{(after := report['after'][name][direction][k]):.3f}",
            f"{after - before:+.3f}",
        )
        for name, direction in measured(report)
        for k in AT
    ]
    return Rows(("pairs", "finds", "recall", "before", "after", "change"), rows)


def sweep_rows(report: Report) -> Rows:
    """Return recall at 1 by the share of the tuned weights; no rows if there was no sweep."""
    sets = list(measured(report))
    names = [f"{SETS[name]}, {DIRECTIONS[direction]}" for name, direction in sets]
    rows = [
        (f"{one['share']:g}", *(f"{one[name][direction]['1']:.3f}" for name, direction in sets))
        for one in report["sweep"]
    ]
    return Rows(("share", *names), rows)


def sentence(report: Report) -> str:
    """Return what the training has brought, in words."""
    before, after = (report[when]["held_out"]["text_to_image"]["1"] for when in ("before", "after"))
    trained = len(report["epochs"])
    ended = ", ended early" if report["ended_early"] else ""
    return (
        f"Recall@1 from text to image went from {before:.3f} to {after:.3f}, with the weights of "
        f"epoch {report['best_epoch']} of {trained}{ended}"
    )
