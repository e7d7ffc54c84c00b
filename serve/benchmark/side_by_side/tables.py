"""Table rows of documents side by side, for terminal and page. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from inference.profile.price import money
from serve.benchmark.report.table_rows import Rows
from serve.benchmark.side_by_side.answers import Answer
from serve.benchmark.side_by_side.measured import WORDS, Measured

COLUMNS: dict[str, Callable[[Measured], str]] = {
    "document": lambda one: one.name + ("" if one.complete else "*"),
    "measured": lambda one: WORDS[one.kind],
    "load": lambda one: one.load or "-",
    "model": lambda one: one.model or "-",
    "precision": lambda one: one.precision or "-",
    "machine": lambda one: one.machine or "-",
    "code": lambda one: one.code or "-",
    "images/s": lambda one: _number(one.images_s, 1),
    "p95 ms": lambda one: _number(one.p95_ms, 1),
    "price of a million": lambda one: money(one.million),
    "core-ms an image": lambda one: _number(one.core_ms, 1),
    "sweet spot": lambda one: one.spot or "-",
    "cosine to float32": lambda one: _number(one.cosine, 5),
}


# The same for all measurements of a group.
OF_GROUP = ("measured", "load")


def document_columns(every: Sequence[Measured], leave_out: Collection[str] = ()) -> Rows:
    """Return a column for each measurement, since few of them stand beside each other."""
    head, *rows = (
        (name, *map(show, every)) for name, show in COLUMNS.items() if name not in leave_out
    )
    return Rows(head, rows)


def answer_rows(found: Sequence[Answer]) -> Rows:
    """Return a row for each question."""
    head = ("measured", "question", "best", "value", "within 5 %", "not known of")
    return Rows(
        head,
        [
            (
                WORDS[one.kind], one.question, one.best.name, one.value,
                ", ".join(one.equal) or "-", ", ".join(one.unknown) or "-",
            )
            for one in found
        ],
    )  # fmt: skip


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
