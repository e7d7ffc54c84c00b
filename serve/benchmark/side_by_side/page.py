"""The HTML page of documents side by side. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inference.profile.price import money
from serve.benchmark.report import page as html
from serve.benchmark.report.figures import Axis, Bar, bars
from serve.benchmark.side_by_side.answers import advice, answers, remarks
from serve.benchmark.side_by_side.measured import WORDS, Measured, groups
from serve.benchmark.side_by_side.tables import OF_GROUP, answer_rows, document_columns


def compare_page(every: Sequence[Measured]) -> str:
    """Return the whole page."""
    found = answers(every)
    body = (
        html.lead(advice(found))
        + "".join(html.warning(one) for one in remarks(every))
        + "".join(
            html.section(_title(kind, load), _bars(some), _numbers(some))
            for (kind, load), some in groups(every).items()
        )
        + html.section("The best by each question", html.table(answer_rows(found)) if found else "")
    )
    return html.document("Sweetspot: side by side", {"documents": str(len(every))}, body)


def _title(kind: str, load: str) -> str:
    words = WORDS[kind]
    return f"{words[0].upper()}{words[1:]}: {load}"


def _numbers(some: Sequence[Measured]) -> str:
    return html.table(document_columns(some, leave_out=OF_GROUP))


def _bars(some: Sequence[Measured]) -> str:
    return html.side_by_side(
        _drawn("Images a second", "images/s", some, lambda one: one.images_s, _tenths),
        _drawn("Price of a million images", "price", some, lambda one: one.million, money),
        _drawn("p95", "ms", some, lambda one: one.p95_ms, _tenths),
    )


def _drawn(
    title: str,
    unit: str,
    some: Sequence[Measured],
    value: Callable[[Measured], float | None],
    show: Callable[[float], str],
) -> str:
    known = [(one.name, found) for one in some if (found := value(one)) is not None]
    return bars(title, Axis(unit), [Bar(name, found, show(found)) for name, found in known])


def _tenths(value: float) -> str:
    return f"{value:.1f}"
