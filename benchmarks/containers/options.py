"""Command-line options of the container benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from benchmarks.containers.container import Container
from benchmarks.containers.fleet import CONTAINERS, Fleet, prepared
from benchmarks.containers.prepare import forget_models


def asked(command: Callable[..., None]) -> click.Command:
    """Make a command with the options names, quick, seed and fresh."""
    options: tuple[Callable[[Any], Any], ...] = (
        click.option("--fresh", is_flag=True, help="make checkpoints and profiles again"),
        click.option("--seed", default=0, help="seed of the shuffled order"),
        click.option("--quick", is_flag=True, help="a short trial run, untuned; records nothing"),
        click.argument("names", nargs=-1, type=click.Choice(list(CONTAINERS))),
    )
    for option in options:
        command = option(command)
    return click.command()(command)


def chosen(names: Sequence[str], *, tune: bool, fresh: bool) -> tuple[Fleet, list[Container]]:
    """Return a fleet that is not running yet, and the containers prepared for it."""
    if fresh:
        forget_models()
    fleet = Fleet()
    return fleet, prepared(names, fleet, tune=tune)
