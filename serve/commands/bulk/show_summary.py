"""The summary of a job as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from inference.errors import FetchBlocked
from serve.observe.console import open_console

# Kinds of embedded rows that cost no forward pass, in words.
SPARED = {"unchanged": "not fetched anew", "same_bytes": "of equal bytes"}


def show(output: str, summary: Mapping[str, Any]) -> None:
    """Print the summary. output: where the job's files are."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column()
    table.add_row("rows", f"{summary['rows']:,}", output)
    table.add_row("embedded", f"{summary['embedded']:,}")
    for key, words in SPARED.items():
        if summary[key]:
            table.add_row("", f"{summary[key]:,}", words)
    table.add_row("failed", f"{summary['failed']:,}")
    for code, count in summary["failures"].items():
        example = summary["examples"].get(code)  # parts of earlier versions have none
        table.add_row("", f"{count:,}", f"{code}, such as: {escape(example)}" if example else code)
    if summary["may_pass"]:
        table.add_row("", f"{summary['may_pass']:,}", "may pass: --retry-failed tries them again")
    if blocked := summary["failures"].get(FetchBlocked.code):
        table.add_row("", f"{blocked:,}", "blocked: add the flag, and --retry-failed")
    table.add_row("images/s", f"{summary['images_s'] or 0:,}", f"in {summary['wall_s']:,} s")
    table.add_row("core-hours", f"{summary['core_hours']:,}")
    if "price_per_million" in summary:
        table.add_row("price", f"{summary['price_per_million']:,}", "a million rows")
    open_console().print(table)
