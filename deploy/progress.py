"""A bar for a walk through a long input."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.wire import Failed, Result


def with_bar(
    results: Generator[Result, None, None], total: int | None
) -> Generator[Result, None, None]:
    """The same results, counted on standard error when that is a terminal. total: if known."""
    console = Console(stderr=True)
    words = "{task.description}"
    columns = (BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn(words))
    failed = 0
    with (
        closing(results),
        Progress(*columns, console=console, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("", total=total)
        for result in results:
            failed += isinstance(result, Failed)
            bar.update(task, advance=1, description=f"{failed:,} failed" if failed else "")
            yield result
