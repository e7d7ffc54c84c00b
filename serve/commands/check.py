"""`sweetspot check`: the parity table, and whether every row passes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import click
from rich.table import Table

from model.errors import ModelError
from model.load import open_checkpoint
from serve.compose import model_config
from serve.observe.console import open_console
from serve.settings import Settings

if TYPE_CHECKING:
    from model.fidelity.check import Row

# The columns of NUMBERS, explained below the table.
LEGEND = (
    "min, mean: cosine to the reference; c.: with the set's mean subtracted first;\n"
    "differ: largest difference of a number; mates: alone against in a batch"
)
NUMBERS = ("min", "mean", "c. min", "c. mean", "differ", "mates")


def run(settings: Settings, count: int, *, as_json: bool) -> int:
    """Show each row once it is measured. Returns 1 when one is below its floors."""
    console = open_console(stderr=as_json)
    rows: list[Row] = []
    try:
        open_checkpoint(settings.model)  # the import of transformers takes seconds
        from model.fidelity.check import check

        with console.status("comparing with transformers"):
            for row in check(replace(model_config(settings), backend="auto"), count):
                rows.append(row)
                console.print(f"{_words(row)}: {_judgement(row)}")
    except ModelError as exc:
        raise click.ClickException(str(exc)) from exc
    if as_json:
        click.echo(json.dumps([row.as_dict() for row in rows], indent=2))
    else:
        console.print(_table(rows))
        console.print(LEGEND)
    return 1 if any(row.below for row in rows) else 0


def _judgement(row: Row) -> str:
    found = "; ".join(row.below) or "passes"
    return f"{found}; not judged: {', '.join(row.not_judged)}" if row.not_judged else found


def _words(row: Row) -> str:
    device = "" if row.spec.device == "cpu" else f" on {row.spec.device}"
    return f"{row.spec.backend} {row.spec.precision}{device}"


def _table(rows: list[Row]) -> Table:
    table = Table("against transformers", "tower", box=None, pad_edge=False)
    for name in NUMBERS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        odd = [("odd text", row.odd_texts)] if row.odd_texts else []
        for tower, found in (("image", row.images), ("text", row.texts), *odd):
            cosines = (found.plain.min, found.plain.mean, found.centred.min, found.centred.mean)
            differences = (found.max_difference, row.invariance)
            table.add_row(
                _words(row) if tower == "image" else "", tower,
                *(f"{one:.5f}" for one in cosines), *(f"{one:.0e}" for one in differences),
                style="red" if row.below else None,
            )  # fmt: skip
    return table
