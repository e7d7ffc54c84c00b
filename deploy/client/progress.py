"""Bars on standard error, when that is a terminal."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)  # fmt: skip

from deploy.client.wire import Failed, Result


def on_terminal(*columns: ProgressColumn) -> Progress:
    """A bar of these columns; its console prints elsewhere, too."""
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal)


def counting() -> Progress:
    """How many of how many, for how long, and a word on it."""
    words = TextColumn("{task.description}")
    return on_terminal(BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), words)


def with_bar(
    results: Generator[Result, None, None], total: int | None
) -> Generator[Result, None, None]:
    """The same results, counted on standard error when that is a terminal. total: if known."""
    failed = 0
    with closing(results), counting() as bar:
        task = bar.add_task("", total=total)
        for result in results:
            failed += isinstance(result, Failed)
            bar.update(task, advance=1, description=f"{failed:,} failed" if failed else "")
            yield result
