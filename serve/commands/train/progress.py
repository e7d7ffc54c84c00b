"""How far a training is: bars on a terminal, else lines on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from serve.observe.bars import on_terminal
from serve.observe.training_lines import epoch_line, recalls, step_line

BAR_COLUMNS = 24
# Without a terminal: the least time between lines of steps.
LINE_EVERY_S = 10.0


@contextmanager
def fetching(total: int) -> Iterator[Callable[[int], object]]:
    """Show how many images are done. Yields what advances it."""
    columns = (TextColumn("fetching"), BarColumn(BAR_COLUMNS), MofNCompleteColumn())
    with on_terminal(*columns, TimeRemainingColumn()) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def training() -> Iterator[Callable[[Any], None]]:
    """Show steps, loss and recall. Yields what takes a `model.training.report.Step`."""
    columns = (
        TextColumn("training"),
        BarColumn(BAR_COLUMNS),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    recall, written_s = "", -LINE_EVERY_S
    with on_terminal(*columns) as bar:
        task = bar.add_task("", total=None)

        def show(step: Any) -> None:
            nonlocal recall, written_s
            if step.results is not None:
                recall = f", {recalls(step.results)}"
            words = f"epoch {step.epoch} of {step.epochs}, loss {step.loss:.3f}"
            bar.update(task, total=step.steps, completed=step.step, description=words + recall)
            if not bar.disable:
                return
            if step.results is not None:
                click.echo(epoch_line(step), err=True)
            elif time.monotonic() - written_s >= LINE_EVERY_S:
                written_s = time.monotonic()
                click.echo(step_line(step), err=True)

        yield show
