"""Terminal output of the `deploy` commands: tables, and lines of events."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.markup import escape
from rich.table import Column, Table

from deploy.smoke import Check
from deploy.stack.plan import Change, Property
from deploy.stack.stack import Event
from deploy.stack.status import Status
from deploy.template.names import parse_image
from deploy.template.role import JOB_LOGS
from serve.observe.bars import counting

MARKS = {"add": "+", "modify": "~", "replace": "-/+", "remove": "-"}
COLORS = {"add": "green", "modify": "yellow", "replace": "magenta", "remove": "red"}
OUTCOMES = {True: "[green]ok[/]", False: "[red]failed[/]", None: "[yellow]unknown[/]"}
VALUE_CHARS = 100
# The commands that delete what `down` leaves, by output.
COMMANDS = {
    "Artifact": "aws s3 rm {}",
    "Image": "aws ecr batch-delete-image --repository-name {repository} --image-ids {id}",
    "LogGroup": "aws logs delete-log-group --log-group-name {}",
    "Input": "aws s3 rm --recursive {}",
    "Output": "aws s3 rm --recursive {}",
}


def changes(found: Sequence[Change]) -> Table:
    """Return a row for each changed resource, with a line for each property."""
    table = _table("", "resource", "type", "what")
    for one in found:
        mark = MARKS.get(one.action, one.action)
        what = "\n".join(_property(part) for part in one.properties)
        color = COLORS.get(one.action, "default")
        table.add_row(f"[{color}]{mark}[/]", one.resource, one.kind, escape(what))
    return table


def status(found: Status) -> Table:
    """Return a table of two columns: name and value."""
    table = _table("", "")
    table.show_header = False
    table.add_row("stack", escape(f"{found.stack} {found.reason}".strip()))
    if found.endpoint or found.failure:
        table.add_row("endpoint", found.endpoint or "none")
    if found.failure:
        table.add_row("why", escape(found.failure))
    if found.instances:
        now, wanted = found.instances.current, found.instances.desired
        table.add_row("instances", f"{now}" if now == wanted else f"{now}, going to {wanted}")
    for name, state in found.alarms.items():
        table.add_row(name, f"[red]{state}[/]" if state == "ALARM" else state)
    for name, value in found.outputs.items():
        table.add_row(name, escape(value))
    return table


def checks(found: Sequence[Check]) -> Table:
    """Return a row for each check."""
    table = _table("check", "", "measured")
    for one in found:
        table.add_row(one.what, OUTCOMES[one.ok], escape(one.said))
    return table


def left(outputs: dict[str, str]) -> dict[str, str]:
    """Return what `down` does not delete, because `up` did not create it, by output."""
    found = {name: outputs[name] for name in COMMANDS if name in outputs}
    if found.get("LogGroup") == JOB_LOGS:  # shared by all jobs of the account
        del found["LogGroup"]
    return found


def leftovers(outputs: dict[str, str]) -> str:
    """Return what is left, as the commands that delete it."""
    image = parse_image(outputs["Image"])
    tag, digest = image["tag"], image["digest"]
    words = {
        "repository": image["repository"],
        "id": f"imageTag={tag}" if tag else f"imageDigest={digest}",
    }
    commands = [
        COMMANDS[name].format(shlex.quote(one), **words) for name, one in left(outputs).items()
    ]
    return "\n".join(["Left, because `up` did not create it; to delete it, too:", *commands])


@contextmanager
def events(total: int | None) -> Iterator[Callable[[Event], None]]:
    """Print events on standard error as they come, with a bar below on a terminal.

    total: number of resources, if known.
    """
    with counting() as bar:
        task = bar.add_task("", total=total)
        done = set()

        def tell(event: Event) -> None:
            words = f"{time.strftime('%H:%M:%S')} {event.resource} {event.status} {event.reason}"
            style = "red" if event.failed else "dim"
            bar.console.print(words.strip(), style=style, markup=False, highlight=False)
            if event.status.endswith("_COMPLETE") and "::Stack" not in event.kind:
                done.add(event.resource)
            bar.update(task, completed=len(done), description=escape(event.resource))

        yield tell


def _table(*headers: str) -> Table:
    """Return a table that wraps long cells: a truncated name or URI would be useless."""
    columns = (Column(one, overflow="fold") for one in headers)
    return Table(*columns, box=None, pad_edge=False)


def _property(one: Property) -> str:
    if one.before is None and one.after is None:
        return one.path
    before, after = ("" if value is None else _short(value) for value in (one.before, one.after))
    return f"{one.path}: {before} -> {after}" if one.before is not None else f"{one.path}: {after}"


def _short(value: str) -> str:
    return value if len(value) <= VALUE_CHARS else value[:VALUE_CHARS] + "..."
