"""Thousands of requests while everything around them breaks; each answer checked by its content.

python -m tests.chaos --seconds 240 --seed 0
"""

from __future__ import annotations

import sys

import click
import orjson
from rich.console import Console

from tests.chaos.progress import Progress
from tests.chaos.run import run


@click.command()
@click.option("--seconds", type=click.FloatRange(10), default=240, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="of requests and faults")
@click.option("--processes", default=2, show_default=True, help="that prepare images; 0: threads")
@click.option("--json", "as_json", is_flag=True, help="print one document, for machines")
def main(seconds: float, seed: int, processes: int, as_json: bool) -> None:
    """Ends with 1 when an answer was wrong, missing, swapped or late, or the worker grew."""
    console = Console(stderr=True)
    with Progress(seconds, console) as progress:
        report = run(seconds, seed, processes, progress)
    console.print(report.table())
    for line in report.examples:
        console.print(f"  {line}", markup=False, highlight=False)
    if as_json:
        click.echo(orjson.dumps(report.document(), option=orjson.OPT_INDENT_2))
    sys.exit(0 if report.good else 1)


if __name__ == "__main__":
    main()
