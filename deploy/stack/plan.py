"""What `up` would change, according to a temporary change set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deploy.aws import in_plain_words
from deploy.errors import DeployError
from deploy.stack.stack import CHANGE_SET, DEAD, MAX_POLLS, PLANNED, POLL_S, Stack, Stacks
from deploy.template.template import Template

# CloudFormation's reasons for an empty change set.
NOTHING_CHANGES = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True)
class Property:
    """A changed property. before, after: None when absent or not given by CloudFormation."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Change:
    """The change of one resource. action: add, modify, replace or remove."""

    action: str
    resource: str
    kind: str
    properties: tuple[Property, ...] = ()


def plan(stacks: Stacks, template: Template) -> list[Change]:
    """Return CloudFormation's own list of changes, without making any change.

    Raises:
        DeployError: the stack's state allows no change, the template is refused, or AWS cannot be
            asked.
    """
    found = stacks.find()
    if found is not None and found.status == PLANNED:  # left by an interrupted plan
        _forget(stacks)
        found = None
    if found is not None:
        _check(stacks, found, template)
    with in_plain_words(f"{stacks.name} cannot be planned"):
        return _planned(stacks, template, new=found is None)


def _check(stacks: Stacks, found: Stack, template: Template) -> None:
    """Raise DeployError when CloudFormation, or SageMaker later, would refuse the change."""
    if found.moving:
        raise DeployError(f"{stacks.name} is {found.status}; plan when that has ended")
    if found.status in DEAD:
        raise DeployError(f"{stacks.name} is {found.status}; `up` creates all of it again")
    stacks.check_kind(found, template)


def _planned(stacks: Stacks, template: Template, *, new: bool) -> list[Change]:
    aws, asked = stacks.cloudformation, {"StackName": stacks.name, "ChangeSetName": CHANGE_SET}
    if not new and CHANGE_SET in stacks.change_sets():  # left by an interrupted plan
        aws.delete_change_set(**asked)
    kind = "CREATE" if new else "UPDATE"
    aws.create_change_set(**stacks.request(template), ChangeSetName=CHANGE_SET, ChangeSetType=kind)
    try:
        return [_change(one["ResourceChange"]) for one in _listed(stacks, asked)]
    finally:
        if new:
            _forget(stacks)
        else:
            aws.delete_change_set(**asked)


def _forget(stacks: Stacks) -> None:
    """Delete the stack that a change set of a new deployment created, and wait for it."""
    found = stacks.find()
    if found is not None:
        stacks.delete(found)
        stacks.wait(found, None)


def _listed(stacks: Stacks, asked: dict[str, str]) -> Iterator[dict[str, Any]]:
    for _ in range(MAX_POLLS):
        said = stacks.cloudformation.describe_change_set(**asked)
        if said["Status"] == "CREATE_COMPLETE":
            break
        if said["Status"] == "FAILED":
            reason = said.get("StatusReason", "no reason given")
            if any(words in reason for words in NOTHING_CHANGES):
                return
            raise DeployError(f"{stacks.name} cannot be planned: {reason}")
        stacks.pause(POLL_S)
    pages = stacks.cloudformation.get_paginator("describe_change_set")
    for page in pages.paginate(**asked, IncludePropertyValues=True):
        yield from page["Changes"]


def _change(said: dict[str, Any]) -> Change:
    replaced = said.get("Replacement") == "True"
    targets = [one["Target"] for one in said.get("Details", ()) if "Target" in one]
    found = {_property(target) for target in targets} or set(_all_of(said))
    return Change(
        action="replace" if replaced else said["Action"].lower(),
        resource=said["LogicalResourceId"],
        kind=said["ResourceType"],
        properties=tuple(sorted(found, key=lambda one: one.path)),
    )


def _all_of(said: dict[str, Any]) -> Iterator[Property]:
    """Yield every property of a new resource."""
    context = json.loads(said.get("AfterContext") or "{}")
    for name, value in context.get("Properties", {}).items():
        yield Property(name, None, value if isinstance(value, str) else json.dumps(value))


def _property(target: dict[str, Any]) -> Property:
    name = target.get("Name") or target.get("Attribute", "")
    path = target.get("Path", "").removeprefix("/Properties/") or name
    return Property(path, target.get("BeforeValue"), target.get("AfterValue"))
