"""Terminal output of `benchmark endpoint`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.columns import Columns
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from serve.benchmark.endpoint_load.load_cells import Cell
from serve.benchmark.endpoint_load.record import Compared, Found
from serve.benchmark.endpoint_load.tables import (
    bulk_sentence,
    cell_rows,
    failures,
    grid,
    interactive_rows,
    price_sentence,
)
from serve.benchmark.report.table_rows import PARTIAL, Rows
from serve.benchmark.report.terminal import table
from serve.benchmark.report.terminal_chart import CHOSEN, Line, Mark, lines


def show(console: Console, found: Found) -> None:
    """Print tables, charts, the recommendation and the failures."""
    if found.cells:
        console.print()
        console.print(table(cell_rows(found)))
        console.print()
        charts = [
            _chart("images/s", found, lambda cell: cell.load.items_per_s),
            _chart("p95 of a request, ms", found, lambda cell: cell.load.p95_ms),
        ]
        console.print(Columns([one for one in charts if one], padding=(0, 3)))
    console.print()
    console.print(found.choice.sentence, style=CHOSEN, highlight=False)
    if found.interactive is not None:
        console.print()
        console.print(table(interactive_rows(found.interactive)))
        console.print(bulk_sentence(found.interactive), highlight=False)
    if said := price_sentence(found):
        console.print(said, highlight=False)
    for sentence in [*failures(found), *([] if found.complete else [PARTIAL])]:
        console.print(f"[yellow]{escape(sentence)}[/]", highlight=False)


def show_comparison(console: Console, rows: Sequence[Compared], max_loss: float) -> bool:
    """Print each combination's throughput now / then. Returns whether the best lost too much."""
    head = ("combination", "images/s now / then", "spread then", "spread now")
    shown = [(one.label, f"{one.ratio:.3f}", *(f"{s:.0%}" for s in one.spreads)) for one in rows]
    best = next(index for index, one in enumerate(rows) if one.is_best)
    console.print()
    console.print(table(Rows(head, shown, best)))
    lost = rows[best].ratio < 1 - max_loss
    if lost:
        console.print(
            f"[red]the best combination, {rows[best].label}, lost more than {max_loss:.0%}[/]"
        )
    return lost


def _chart(title: str, found: Found, value: Callable[[Cell], float | None]) -> Text | None:
    """Return a chart of a value; None when there is nothing to compare."""
    cells, chosen = grid(found), found.choice.cell
    drawn = [
        Line(name, [(x, y) for x, cell in line if (y := value(cell)) is not None])
        for name, line in cells.lines.items()
    ]
    mark = Mark(cells.chosen, chosen.label) if cells.chosen is not None and chosen else None
    return lines(title, cells.x_label, [one for one in drawn if one.points], mark)
