"""`up` and `down`: create, update and delete a stack, from any state it may be in."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.errors import DeployError
from deploy.stack.stack import DEAD, Stack, Stacks
from deploy.template.scaling import goes_first, without_scaling
from deploy.template.template import Template

GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")


class StackFailed(DeployError):
    """CloudFormation failed to create, update or delete the stack; its events have the reason."""


@dataclass(frozen=True)
class Up:
    """A deployment after `up`. action: created, updated, or unchanged."""

    action: str
    stack: Stack


def up(stacks: Stacks, template: Template) -> Up:
    """Create a deployment, or update it to the template, and wait.

    Recovers from every state that an earlier attempt may have left.

    Raises:
        StackFailed: it could not be created or updated; it was rolled back.
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
    """Remove scaling when SageMaker would refuse the update; the update adds it again."""
    standing = stacks.template()
    if goes_first(standing, template):
        _update(stacks, found, without_scaling(standing))


def down(stacks: Stacks) -> Stack | None:
    """Delete everything that `up` created, and wait.

    Returns:
        The deleted stack; None when there was none.

    Raises:
        StackFailed: something could not be deleted; run `down` again to continue.
        DeployError: AWS cannot be asked, or the stack is not ours.
    """
    found = _settled(stacks)
    if found is not None:
        _delete(stacks, found)
    return found


def _usable(stacks: Stacks) -> Stack | None:
    """Return a stack that can be updated, or None when one must be created."""
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
    """Return the stack once no operation on it is in progress."""
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
    """Update the stack and wait. Returns the stack; None when there was nothing to change."""
    after = stacks.last_event(stack)
    if not stacks.update(template):
        return None
    return _good(stacks, stacks.wait(stack, after))


def _good(stacks: Stacks, found: Stack | None) -> Stack:
    if found is None:
        raise StackFailed(f"{stacks.name} was deleted while it was created")
    if found.status not in GOOD:
        raise StackFailed(f"{stacks.name} failed: {found.status}")
    return found
