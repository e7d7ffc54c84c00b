"""Prints what came of a training, and writes its page."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console

from model.training.pairs import Pairs
from serve.benchmark.report.terminal import table, write_page
from serve.commands.train.asked import Asked
from serve.commands.train.results.page import training_page
from serve.commands.train.results.recalls import recall_rows, sentence, sweep_rows
from serve.observe.console import open_console


def show(asked: Asked, found: dict[str, Any], held_out: Pairs, console: Console) -> None:
    """Print the result, and write the page if it is asked for."""
    if asked.as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        open_console().print(table(recall_rows(found)))
        if found["sweep"]:
            open_console().print(table(sweep_rows(found)))
        click.echo(sentence(found))
    if asked.report:
        facts = {
            "base": found["base"],
            "trained on": f"{found['data']['train']['images']:,} images",
            "held out": f"{len(held_out.pixels):,}, {found['data']['split']}",
            "bad rows": f"{sum(one['rows'] for one in found['data']['bad_rows'].values()):,}",
            "took": f"{found['took_s']:,.0f} s",
        }
        write_page(console, asked.report, training_page(found, facts, held_out.pixels))
