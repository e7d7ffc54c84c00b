"""The progress bar of a run, on standard error if that is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from serve.observe.bars import on_terminal


@contextmanager
def shown(total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar; yield a function that advances it. total: None shows only count and rate."""
    columns = (
        TextColumn("embedding"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
    )
    with on_terminal(*columns) as progress:
        task = progress.add_task("embedding", total=total)
        yield lambda count: progress.advance(task, count)
