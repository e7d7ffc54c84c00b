"""How far a job is: a bar on a terminal, else a line a minute on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import click
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from serve.observe.bars import on_terminal

LINE_EVERY_S = 60.0
SECONDS_A_MINUTE = 60

# Called with the rows of this run so far, by `embedded` and `failed`.
Show = Callable[[Mapping[str, int]], None]


@contextmanager
def shown(total: int, done: int) -> Iterator[Show]:
    """Show how far a job is. total: its rows. done: rows of parts that were whole before."""
    columns = (
        BarColumn(24),
        MofNCompleteColumn(),
        TextColumn("rows  {task.description}"),
        TimeRemainingColumn(),
    )
    began_s = line_s = time.monotonic()
    with on_terminal(*columns) as bar:
        task = bar.add_task("", total=total, completed=done)

        def show(seen: Mapping[str, int]) -> None:
            nonlocal line_s
            now_s, rows = time.monotonic(), sum(seen.values())
            rate = rows / max(now_s - began_s, 1e-6)
            words = f"{rate:,.0f} rows/s, {seen.get('failed', 0):,} failed"
            bar.update(task, completed=min(done + rows, total), description=words)
            if bar.disable and now_s - line_s >= LINE_EVERY_S:
                line_s = now_s
                left = f", {_left(total - done - rows, rate)} left" if rate else ""
                click.echo(f"{done + rows:,} of {total:,} rows, {words}{left}", err=True)

        yield show


def _left(rows: int, rate: float) -> str:
    minutes, seconds = divmod(round(max(rows, 0) / rate), SECONDS_A_MINUTE)
    hours, minutes = divmod(minutes, SECONDS_A_MINUTE)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
