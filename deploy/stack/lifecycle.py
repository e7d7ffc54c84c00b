"""Up and down: from whatever a stack is to what it should be."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.errors import DeployError
from deploy.stack.stack import DEAD, Stack, Stacks
from deploy.template.scaling import goes_first, without_scaling
from deploy.template.template import Template

GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")


class StackFailed(DeployError):
    """CloudFormation could not do what was asked; it has said why in the events."""


@dataclass(frozen=True)
class Up:
    """A deployment that stands. action: created, updated, or unchanged."""

    action: str
    stack: Stack


def up(stacks: Stacks, template: Template) -> Up:
    """Make a deployment, or make it what the template says, and wait.

    Recovers from every state that an earlier attempt may have left.

    Raises:
        StackFailed: it is not what the template says; the last good state is back.
        DeployError: AWS cannot be asked, or the stack is not ours.
    """
    found = _usable(stacks)
    if found is None:
        return Up("created", _create(stacks, template))
    stacks.check_kind(found, template)
    _let_go(stacks, found, template)
    updated = _update(stacks, found, template)
    return Up("updated", updated) if updated else Up("unchanged", found)


def _let_go(stacks: Stacks, found: Stack, template: Template) -> None:
    """Take scaling away where SageMaker would refuse the update; the update brings it again."""
    standing = stacks.template()
    if goes_first(standing, template):
        _update(stacks, found, without_scaling(standing))


def down(stacks: Stacks) -> Stack | None:
    """Take everything away that `up` has made, and wait.

    Returns:
        What was there; None when there was nothing.

    Raises:
        StackFailed: something is still there; `down` again goes on.
        DeployError: AWS cannot be asked, or the stack is not ours.
    """
    found = _settled(stacks)
    if found is not None:
        _delete(stacks, found)
    return found


def _usable(stacks: Stacks) -> Stack | None:
    """A stack that can be updated, or None when one is to be created."""
    found = _settled(stacks)
    if found is not None and found.status in DEAD:
        _delete(stacks, found)
        return None
    if found is not None and found.status == "UPDATE_ROLLBACK_FAILED":
        after = stacks.last_event(found)
        stacks.continue_rollback()
        found = stacks.wait(found, after)
    return found


def _settled(stacks: Stacks) -> Stack | None:
    """The stack, once nothing is being done to it any more."""
    found = stacks.find()
    if found is not None and found.moving:
        return stacks.wait(found, stacks.last_event(found))
    return found


def _delete(stacks: Stacks, stack: Stack) -> None:
    after = stacks.last_event(stack)
    stacks.delete(stack)
    left = stacks.wait(stack, after)
    if left is not None:
        raise StackFailed(f"{stacks.name} is not deleted: {left.reason or left.status}")


def _create(stacks: Stacks, template: Template) -> Stack:
    stacks.create(template)
    begun = stacks.find()
    return _good(stacks, begun and stacks.wait(begun, None))


def _update(stacks: Stacks, stack: Stack, template: Template) -> Stack | None:
    """What has become of it; None when there was nothing to change."""
    after = stacks.last_event(stack)
    if not stacks.update(template):
        return None
    return _good(stacks, stacks.wait(stack, after))


def _good(stacks: Stacks, found: Stack | None) -> Stack:
    if found is None:
        raise StackFailed(f"{stacks.name} was deleted while it was made")
    if found.status not in GOOD:
        raise StackFailed(f"{stacks.name} failed: {found.status}")
    return found
