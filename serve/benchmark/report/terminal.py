"""Terminal output that the benchmarks share: progress, tables, the path of the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click
from rich.console import Console
from rich.table import Table

from model.files import write_whole
from serve.benchmark.report.table_rows import Rows
from serve.benchmark.report.terminal_chart import CHOSEN
from serve.observe.bars import counting


class Tell(Protocol):
    """Reports the step that begins. steps: 0 to update the current step. Thread-safe."""

    def __call__(self, words: str, steps: int = 1) -> None:
        """Show the words."""


@contextmanager
def progress(steps: int) -> Iterator[Tell]:
    """Show a bar on standard error when that is a terminal. Yields what advances it."""
    with counting(transient=True) as bar:
        task = bar.add_task("", total=steps, completed=-1)

        def tell(words: str, steps: int = 1) -> None:
            bar.update(task, advance=steps, description=words)

        yield tell


def table(rows: Rows) -> Table:
    """Return a table of numbers, the best row highlighted."""
    drawn = Table(box=None, pad_edge=False)
    for column in rows.head:
        drawn.add_column(column, justify="right")
    for index, row in enumerate(rows.rows):
        drawn.add_row(*row, style=CHOSEN if index == rows.best else None)
    return drawn


def write_page(console: Console, path: str, html: str) -> None:
    """Write a report and say where. Raises ClickException when it cannot be written."""
    try:
        write_whole(path, html)
    except OSError as exc:
        raise click.ClickException(f"cannot write {path}: {exc.strerror}") from exc
    console.print(f"report: {path}", highlight=False, markup=False)
