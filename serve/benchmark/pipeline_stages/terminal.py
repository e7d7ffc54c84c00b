"""Terminal output of `benchmark pipeline`."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from serve.benchmark.pipeline_stages.record import Found
from serve.benchmark.pipeline_stages.tables import (
    encoder_sentence,
    notes,
    price_sentence,
    process_rows,
    shared_sentence,
    speed_sentence,
    stage_rows,
)
from serve.benchmark.report.table_rows import Rows
from serve.benchmark.report.terminal import table
from serve.benchmark.report.terminal_chart import CHOSEN

BAR_CHARS = 28


def show(console: Console, found: Found) -> None:
    """Print the stages with bars, the encoder alone, the throughput and the bottleneck."""
    console.print()
    console.print(table(_with_bars(found)))
    console.print(table(process_rows(found)))
    console.print()
    for sentence in filter(None, (encoder_sentence(found), shared_sentence(found))):
        console.print(sentence, highlight=False)
    for sentence in filter(None, (speed_sentence(found), price_sentence(found), found.limit)):
        console.print(sentence, style=CHOSEN, highlight=False)
    for note in notes(found):
        console.print(f"[yellow]{escape(note)}[/]", highlight=False)


def show_comparison(console: Console, rows: Rows, ratio: float, max_loss: float) -> bool:
    """Print numbers then and now. Returns whether too much was lost."""
    console.print()
    console.print(table(rows))
    lost = ratio < 1 - max_loss
    if lost:
        console.print(f"[red]the pipeline lost more than {max_loss:.0%}[/]")
    return lost


def _with_bars(found: Found) -> Rows:
    rows = stage_rows(found)
    drawn = [_bar(one.busy) for one in found.stages]
    return Rows((*rows.head, ""), [(*row, bar) for row, bar in zip(rows.rows, drawn, strict=True)])


def _bar(busy: float | None) -> str:
    """Return a bar of a stage's busy share. All bars have the same width, so they align."""
    if busy is None:
        return " " * BAR_CHARS
    return ("█" * round(BAR_CHARS * busy)).ljust(BAR_CHARS, "░")
