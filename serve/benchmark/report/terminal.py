"""What every benchmark shows in a terminal: how far it is, tables, and where it wrote a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click
from rich.console import Console
from rich.table import Table

from model.files import write_whole
from serve.benchmark.report.chart import CHOSEN
from serve.benchmark.report.table_rows import Rows
from serve.observe.bars import counting


class Tell(Protocol):
    """Told in words what begins. steps: 0 for news of what has begun. Safe from many threads."""

    def __call__(self, words: str, steps: int = 1) -> None:
        """Show it."""


@contextmanager
def progress(steps: int) -> Iterator[Tell]:
    """A bar on standard error when that is a terminal; told what begins, it moves on."""
    with counting(transient=True) as bar:
        task = bar.add_task("", total=steps, completed=-1)

        def tell(words: str, steps: int = 1) -> None:
            bar.update(task, advance=steps, description=words)

        yield tell


def table(rows: Rows) -> Table:
    """A table of numbers."""
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
