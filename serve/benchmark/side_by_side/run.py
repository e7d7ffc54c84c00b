"""`sweetspot benchmark compare`: read documents, show them side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from serve.benchmark.report.terminal import table, write_page
from serve.benchmark.report.terminal_chart import CHOSEN
from serve.benchmark.side_by_side.answers import advice, answers, remarks
from serve.benchmark.side_by_side.measured import Measured, share_cosines
from serve.benchmark.side_by_side.page import compare_page
from serve.benchmark.side_by_side.read import read
from serve.benchmark.side_by_side.tables import answer_rows, document_columns
from serve.observe.console import open_console


def run(paths: Sequence[str], report: str | None) -> None:
    """Compare documents, and write a page if asked. Raises ClickException."""
    every = measurements(paths)
    console = open_console()
    show(console, every)
    if report:
        write_page(console, report, compare_page(every))


def measurements(paths: Sequence[str]) -> list[Measured]:
    """Return what the documents measured. Raises ClickException."""
    return share_cosines(read(paths))


def show(console: Console, every: Sequence[Measured]) -> None:
    """Print the measurements, the best by each question, and what is not comparable."""
    console.print(table(document_columns(every)))
    if found := answers(every):
        console.print()
        console.print(table(answer_rows(found)))
    console.print(advice(answers(every)), style=CHOSEN, highlight=False)
    for one in remarks(every):
        console.print(f"[yellow]{escape(one)}[/]", highlight=False)
