"""Tables of a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.containers.spread import Spread

# The results are unreliable when unrelated processes use more cores than this.
NOISY_CORES = 0.1
# Of tables, when the output is not a terminal.
WIDTH = 120
_FIRST = ("mix", "processes")


def show(result: Mapping[str, Any]) -> None:
    """Print tables and warnings."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    paper = result["on_paper"]["rows"]
    for table in (_speeds(result["measured"]), _memory(result["measured"])):
        console.print(table)
    for table in (_cores(paper), _cards(paper)):
        console.print(table)
    console.print(f"server of pictures: {_spread(result['pictures_core_ms'], 2)} core-ms an image")
    if (noise := result["foreign_cores"]["high"]) > NOISY_CORES:
        console.print(f"[red]other processes took up to {noise:.2f} cores: measure again[/]")


def _speeds(rows: Sequence[Mapping[str, Any]]) -> Table:
    roles = _roles(rows)
    table = Table(*_FIRST, "images/s", "x threads", "core-ms", title="Median (min-max) of rounds")
    for name in (*(f"... {role}" for role in roles), "lock ms"):
        table.add_column(name)
    for row in rows:
        by_role = [row["core_ms_by_role"].get(role) for role in roles]
        table.add_row(
            *_first(row),
            _spread(row["images_s"], 0),
            _spread(row["times_threads"], 2),
            *(_spread(one, 2) for one in (row["core_ms"], *by_role, row["lock_ms"])),
        )
    return table


def _memory(rows: Sequence[Mapping[str, Any]]) -> Table:
    roles = _roles(rows)
    table = Table(*_FIRST, *roles, title="MiB of the largest process: PSS, of its own")
    for row in rows:
        sizes = [row["memory_mib_by_role"].get(role) for role in roles]
        cells = [f"{one['pss']:.0f}, {one['private']:.0f}" if one else "" for one in sizes]
        table.add_row(*_first(row), *cells)
    return table


def _cores(rows: Sequence[Mapping[str, Any]]) -> Table:
    counts = list(rows[0]["images_s"])
    title = "On paper, not measured: images/s on so many cores"
    table = Table(*_FIRST, *map(str, counts), title=title)
    for row in rows:
        table.add_row(*_first(row), *(f"{row['images_s'][one]:,}" for one in counts))
    return table


def _cards(rows: Sequence[Mapping[str, Any]]) -> Table:
    cards = rows[0]["cards"]
    names = (f"{name}\n{one['images_s']:,}/s" for name, one in cards.items())
    title = "On paper, not measured: cores that feed a card; -: the lock allows fewer images/s"
    table = Table(*_FIRST, *names, title=title)
    for row in rows:
        table.add_row(*_first(row), *(str(one["cores"] or "-") for one in row["cards"].values()))
    return table


def _first(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["mix"], str(row["processes"] or "threads")


def _roles(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(role for row in rows for role in row["core_ms_by_role"]))


def _spread(found: Mapping[str, float] | None, digits: int) -> str:
    if found is None:
        return ""
    one = Spread(**found)
    return f"{one.median:.{digits}f} ({one.low:.{digits}f}-{one.high:.{digits}f})"
