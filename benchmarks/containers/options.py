"""What the benchmarks of containers are asked, on the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from benchmarks.containers.container import Container
from benchmarks.containers.fleet import CONTAINERS, Fleet, prepared
from benchmarks.containers.prepare import forget_models


def asked(command: Callable[..., None]) -> click.Command:
    """A command of names, quick, seed and fresh."""
    options: tuple[Callable[[Any], Any], ...] = (
        click.option("--fresh", is_flag=True, help="make checkpoints and profiles anew"),
        click.option("--seed", default=0, help="of the order"),
        click.option("--quick", is_flag=True, help="short, untuned: to try it; records nothing"),
        click.argument("names", nargs=-1, type=click.Choice(list(CONTAINERS))),
    )
    for option in options:
        command = option(command)
    return click.command()(command)


def chosen(names: Sequence[str], *, tune: bool, fresh: bool) -> tuple[Fleet, list[Container]]:
    """A fleet that does not run yet, and the containers that are prepared for it."""
    if fresh:
        forget_models()
    fleet = Fleet()
    return fleet, prepared(names, fleet, tune=tune)
