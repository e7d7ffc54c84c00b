"""`sweetspot deploy plan | up | status | down`: the stack of a deployment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deploy import aws
from deploy.commands.options import expected_price, from_flags, with_config
from deploy.errors import DeployError
from deploy.template.role import log_group
from deploy.template.template import template
from serve.options import PRICE_PER_HOUR, PRICES

if TYPE_CHECKING:
    from rich.table import Table

    from deploy.stack.stack import Event, Stacks

_json = click.option("--json", "as_json", is_flag=True, help="print JSON")


@click.command()
@with_config
@PRICE_PER_HOUR
@PRICES
@_json
def plan(
    *, as_json: bool, price_per_hour: float | None, prices: Path | None, **flags: Any
) -> None:  # fmt: skip
    """Show what `up` would change, and change nothing.

    Asks CloudFormation for a change set, and deletes it afterwards. With --profile and the price
    of an instance it says what a million images would cost.

    \b
    Examples:
      sweetspot deploy plan designs --image IMAGE --artifact s3://BUCKET/model.tar.gz
      sweetspot deploy plan designs --image IMAGE --profile sweetspot.json --prices prices.json
    """
    from deploy.commands import tables
    from deploy.stack.plan import plan as changes_of

    config = from_flags(**flags)
    expected = expected_price(config, flags["profile_file"], price_per_hour, prices)
    found = changes_of(_stacks(config.name), template(config))
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found]))
    elif not found:
        click.echo(f"{config.name}: nothing would change")
    else:
        _print(tables.changes(found))
    if expected is not None:
        click.echo(expected, err=as_json)


@click.command()
@with_config
@_json
def up(*, as_json: bool, **flags: Any) -> None:
    """Create or update a deployment, and wait.

    Continues from the state that an earlier attempt left. A failure is rolled back, and the reason
    and the container's last log lines are shown. Ctrl-C only stops the waiting.

    \b
    Examples:
      sweetspot deploy up designs --image IMAGE --artifact s3://BUCKET/model.tar.gz
      sweetspot deploy up jobs --image IMAGE --mode async --input s3://jobs/in/ --output s3://jobs/out/
    """
    from deploy.stack.lifecycle import up as bring_up

    config = from_flags(**flags)
    rendered = template(config)
    with _acting(config.name, len(rendered["Resources"]), log_group(config)) as stacks:
        made = bring_up(stacks, rendered)
    if as_json:
        click.echo(json.dumps({"action": made.action, "outputs": made.stack.outputs}))
        return
    hint = "" if config.mode == "transform" else f"; try it: sweetspot deploy smoke {config.name}"
    click.echo(f"{config.name} {made.action}{hint}", err=True)
    for name, value in made.stack.outputs.items():
        click.echo(f"{name} {value}")


@click.command()
@click.argument("name")
@_json
def status(name: str, *, as_json: bool) -> None:
    """Show the state of a deployment.

    Exits with 1 when it does not answer.

    \b
    Example:
      sweetspot deploy status designs
    """
    from deploy.commands import tables
    from deploy.stack.status import status as status_of

    stacks = _stacks(name)
    stack = stacks.find()
    if stack is None:
        raise DeployError(f"{name}: no such deployment here")
    sagemaker, cloudwatch = aws.client("sagemaker"), aws.client("cloudwatch")
    found = status_of(name, stack, stacks.cloudformation, sagemaker, cloudwatch)
    if as_json:
        click.echo(json.dumps(asdict(found) | {"healthy": found.healthy}))
    else:
        _print(tables.status(found))
    raise SystemExit(0 if found.healthy else 1)


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="do not ask")
@_json
def down(name: str, *, yes: bool, as_json: bool) -> None:
    """Delete everything that `up` created, and list what remains.

    \b
    Example:
      sweetspot deploy down designs
    """
    from deploy.commands import tables
    from deploy.stack.lifecycle import down as take_down

    if _stacks(name).find() is None:
        click.echo("{}" if as_json else f"{name}: nothing is there")
        return
    if not yes:
        click.confirm(f"Delete {name} and everything in it?", abort=True, err=True)
    with _acting(name, None, None) as stacks:
        taken = take_down(stacks)
    outputs = taken.outputs if taken else {}
    if as_json:
        click.echo(json.dumps(tables.left(outputs)))
        return
    click.echo(f"{name} is deleted", err=True)
    if outputs:
        click.echo(tables.leftovers(outputs))


@contextmanager
def _acting(name: str, resources: int | None, group: str | None) -> Iterator[Stacks]:
    """Yield a stack whose events are printed; a failure's error includes the reasons.

    resources: number in the stack, if known. group: the containers' log group, if logs may help.
    """
    from deploy.commands import tables
    from deploy.stack.failure import Reasons, last_words
    from deploy.stack.lifecycle import StackFailed

    begun_ms = int(datetime.now(UTC).timestamp() * 1000)
    reasons = Reasons(aws.client("sagemaker"))
    try:
        with tables.events(resources) as tell:
            yield _stacks(name, tell, reasons.hear)
    except StackFailed as exc:
        lines = [str(exc), *reasons.said]
        if group is not None:
            lines += last_words(aws.client("logs"), group, begun_ms)
        raise DeployError("\n  ".join(lines)) from exc
    except KeyboardInterrupt:
        raise DeployError(
            f"stopped waiting; AWS continues: see `sweetspot deploy status {name}`"
        ) from None


def _stacks(name: str, *listeners: Callable[[Event], None]) -> Stacks:
    from deploy.stack.resolve_target import stacks

    return stacks(name, *listeners)


def _print(table: Table) -> None:
    from serve.observe.console import open_console

    open_console().print(table)
