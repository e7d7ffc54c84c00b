"""Terminal output of `benchmark encoder`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inference.profile.price import Price
from inference.tuning.threads import words
from inference.tuning.tune import Tuned
from serve.benchmark.encoder_sizes.prices import price_rows, price_sentence
from serve.benchmark.encoder_sizes.profiles import Measured
from serve.benchmark.encoder_sizes.words import equation, warning
from serve.benchmark.report.terminal import table
from serve.benchmark.report.terminal_chart import CHOSEN, Line, Mark, lines

BAR_CHARS = 28


@contextmanager
def telling(console: Console, what: str) -> Iterator[Callable[[str], None]]:
    """Show a live status line on a terminal; print nothing elsewhere."""
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(what) as status:
        yield lambda said: status.update(f"{what}: {said}")


def show_threads(console: Console, found: Measured) -> None:
    """Print the images a second of each way to share the cores."""
    if not found.plans:
        return
    table = _table("threads", ("plan", "batch", "images/s", "slowest", "fastest", "two images, ms"))
    for one in found.plans:
        chosen = words(one.threads) == words(found.threads)
        rates = (one.median, min(one.images_s), max(one.images_s), one.pair_ms)
        cells = (f"{rate:.1f}" for rate in rates)
        style = CHOSEN if chosen else None
        table.add_row(words(one.threads), str(one.batch_size), *cells, style=style)
    console.print()
    console.print(table)


def show_tower(console: Console, name: str, tuned: Tuned) -> None:
    """Print a table with a throughput bar for each size, charts, and the sweet spot."""
    table = _table(f"{name} tower", ("batch", "p50 ms", "p95 ms", "items/s", "slope"))
    table.add_column("throughput")
    best = max(tuned.items_s(point) for point in tuned.curve.points)
    for point in tuned.curve.points:
        chosen = point.n == tuned.spot.batch_size
        bar = "█" * round(BAR_CHARS * tuned.items_s(point) / best)
        cells = (point.p50_ms, point.p95_ms, tuned.items_s(point))
        table.add_row(
            str(point.n), *(f"{cell:.1f}" for cell in cells), f"{tuned.curve.slope(point.n):.2f}",
            bar + (" ← sweet spot" if chosen else ""), style=CHOSEN if chosen else None,
        )  # fmt: skip
    console.print()
    console.print(table)
    console.print()
    if charts := _charts(tuned):
        console.print(Columns(charts, padding=(0, 3)))
    console.print(f"batches of {tuned.spot.batch_size}: {tuned.spot.sentence}", highlight=False)
    console.print(equation(tuned), highlight=False)
    if note := warning(tuned):
        console.print(f"[yellow]{note}[/]")


def show_price(console: Console, name: str, tuned: Tuned, price: Price, cores: int | None) -> None:
    """Print what a million items cost in each batch size."""
    console.print()
    console.print(table(price_rows(tuned, price, cores)))
    console.print(price_sentence(name, tuned, price), highlight=False)


def show_all(console: Console, every: Sequence[Measured]) -> None:
    """Print all back ends and precisions in one table, each at its own sweet spots."""
    table = _table(
        "side by side", ("back end", "batch", "images/s", "batch", "texts/s", "min cosine")
    )
    for found in every:
        cells = [found.words]
        for tuned in found.towers.values():
            size = tuned.spot.batch_size
            cells += [str(size), f"{tuned.fitted_items_s(size):.1f}"]
        table.add_row(*cells, f"{found.cosine:.5f}")
    console.print()
    console.print(table)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, box=None, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _charts(tuned: Tuned) -> list[Text]:
    """Return the charts of throughput and latency against batch size; none for a single size."""
    points = tuned.curve.points
    mark = Mark(tuned.spot.batch_size, f"sweet spot {tuned.spot.batch_size}")
    throughput = Line("items/s", [(p.n, tuned.items_s(p)) for p in points])
    p50 = Line("p50", [(p.n, p.p50_ms) for p in points])
    p95 = Line("p95", [(p.n, p.p95_ms) for p in points])
    charts = [
        lines("throughput, items/s", "batch size", [throughput], mark),
        lines("latency, ms", "batch size", [p50, p95], mark, is_log_y=True),
    ]
    return [one for one in charts if one]
