"""What was found of an endpoint, in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.columns import Columns
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from serve.benchmark.chart import CHOSEN, Mark, Series, chart
from serve.benchmark.grid import Tell
from serve.benchmark.record import Compared, Found
from serve.benchmark.tables import (
    PARTIAL,
    Lines,
    Rows,
    bulk_sentence,
    cell_rows,
    failures,
    interactive_rows,
    lines,
)


@contextmanager
def progress(steps: int) -> Iterator[Tell]:
    """A bar on standard error when that is a terminal; told what begins, it moves on."""
    console = Console(stderr=True)
    columns = (
        BarColumn(20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=steps, completed=-1)

        def tell(words: str) -> None:
            bar.update(task, advance=1, description=words)

        yield tell


def show(console: Console, found: Found) -> None:
    """Tables, charts, what is recommended, and what failed."""
    if found.cells:
        console.print()
        console.print(_table(cell_rows(found)))
        console.print()
        throughput = lines(found, lambda cell: cell.load.items_per_s)
        latency = lines(found, lambda cell: cell.load.p95_ms)
        label = found.choice.cell.label if found.choice.cell else ""
        charts = [
            _chart("images/s", throughput, label),
            _chart("p95 of a request, ms", latency, label),
        ]
        console.print(Columns([one for one in charts if one], padding=(0, 3)))
    console.print()
    console.print(found.choice.sentence, style=CHOSEN, highlight=False)
    if found.interactive is not None:
        console.print()
        console.print(_table(interactive_rows(found.interactive)))
        console.print(bulk_sentence(found.interactive), highlight=False)
    for sentence in [*failures(found), *([] if found.complete else [PARTIAL])]:
        console.print(f"[yellow]{escape(sentence)}[/]", highlight=False)


def show_comparison(console: Console, rows: Sequence[Compared], max_loss: float) -> bool:
    """Each combination's throughput against then. Returns whether the best lost too much."""
    head = ("combination", "images/s now / then", "spread then", "spread now")
    shown = [(one.label, f"{one.ratio:.3f}", *(f"{s:.0%}" for s in one.spreads)) for one in rows]
    best = next(index for index, one in enumerate(rows) if one.is_best)
    console.print()
    console.print(_table(Rows(head, shown, best)))
    lost = rows[best].ratio < 1 - max_loss
    if lost:
        console.print(
            f"[red]the best combination, {rows[best].label}, lost more than {max_loss:.0%}[/]"
        )
    return lost


def _table(rows: Rows) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in rows.head:
        table.add_column(column, justify="right")
    for index, row in enumerate(rows.rows):
        table.add_row(*row, style=CHOSEN if index == rows.best else None)
    return table


def _chart(title: str, drawn: Lines, label: str) -> Text | None:
    """None when there is nothing to draw."""
    series = [Series(name, points) for name, points in drawn.points.items()]
    mark = None if drawn.chosen is None else Mark(drawn.chosen, label)
    return chart(title, drawn.x_label, series, mark) if series else None
