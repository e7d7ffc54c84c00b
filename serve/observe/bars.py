"""Progress bars on standard error, when that is a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)


def on_terminal(*columns: ProgressColumn, transient: bool = False) -> Progress:
    """Return a bar of these columns, hidden without a terminal; its console prints anyway."""
    console = Console(stderr=True)
    disable = not console.is_terminal
    return Progress(*columns, console=console, transient=transient, disable=disable)


def counting(*, transient: bool = False) -> Progress:
    """Return a bar with the count, the total, the elapsed time and a description."""
    words = TextColumn("{task.description}")
    columns = (BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), words)
    return on_terminal(*columns, transient=transient)
