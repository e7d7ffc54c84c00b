"""A deployment's CloudFormation stack: its state, the calls to AWS, and waiting for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.aws import in_plain_words, is_missing
from deploy.errors import DeployError
from deploy.template.template import Template

# A stack without this tag was not created by this command.
TAG = "sweetspot:deployment"
# The status of a stack that only has a change set, and the name of our change set.
PLANNED, CHANGE_SET = "REVIEW_IN_PROGRESS", "sweetspot-plan"
# States in which nothing runs and no update is possible: the stack is created again.
DEAD = {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", PLANNED}
# AWS reports this status only for the id of a stack, not for its name.
GONE = "DELETE_COMPLETE"
POLL_S = 5.0
# An update waits for new instances, watches them, and keeps the old ones a while: up to two hours.
MAX_POLLS = 3 * 3600 // int(POLL_S)


@dataclass(frozen=True)
class Event:
    """A change of a resource's status. resource: its logical id. physical: AWS's own id."""

    id: str
    resource: str
    kind: str
    physical: str
    status: str
    reason: str

    @property
    def failed(self) -> bool:
        """Whether the resource failed itself, not because another one did."""
        return self.status.endswith("_FAILED") and "cancelled" not in self.reason.lower()


@dataclass(frozen=True)
class Stack:
    """A stack as it is now."""

    id: str
    status: str
    reason: str
    outputs: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def moving(self) -> bool:
        """Whether an operation on the stack is in progress."""
        return self.status.endswith("_IN_PROGRESS") and self.status != PLANNED


class Stacks:
    """The stack of one deployment in one account and region.

    Args:
        cloudformation: boto3's client.
        name: of the deployment and the stack.
        pause: waits for the given seconds.
        listeners: called with every event while a change is waited for.
    """

    def __init__(
        self,
        cloudformation: Any,
        name: str,
        pause: Callable[[float], Any],
        listeners: Sequence[Callable[[Event], None]] = (),
    ) -> None:
        self.name, self.cloudformation, self.pause = name, cloudformation, pause
        self._listeners = listeners

    def find(self) -> Stack | None:
        """Return the stack; None when there is none.

        Raises:
            DeployError: it was not created by this command, or AWS cannot be asked.
        """
        found = self._look_up(self.name)
        if found is None:
            return None
        if found.tags.get(TAG) != self.name and not self._is_our_plan(found):
            raise DeployError(
                f"{self.name}: a stack of that name exists, which this command did not create "
                f"(it has no tag {TAG}); use another name"
            )
        return found

    def check_kind(self, found: Stack, template: Template) -> None:
        """Raise DeployError when SageMaker would refuse to change the kind of the endpoint."""
        will = template["Outputs"]["Mode"]["Value"]
        was = found.outputs.get("Mode", will)
        if was != will and "async" in (was, will) and "transform" not in (was, will):
            raise DeployError(
                f"{self.name} is {was}, and SageMaker cannot update such an endpoint to {will}; "
                f"run `sweetspot deploy down {self.name}` first, or use another name"
            )

    def request(self, template: Template) -> dict[str, Any]:
        """Return the arguments of `create`, `update` and a change set."""
        return {
            "StackName": self.name,
            "TemplateBody": json.dumps(template, separators=(",", ":"), ensure_ascii=False),
            "Capabilities": ["CAPABILITY_IAM"],
            "Tags": [{"Key": TAG, "Value": self.name}],
        }

    def template(self) -> Template:
        """Return the stack's current template."""
        with in_plain_words(f"{self.name} cannot be looked up"):
            said: Template = self.cloudformation.get_template(StackName=self.name)["TemplateBody"]
        return said

    def change_sets(self) -> list[str]:
        """Return the names of the stack's change sets."""
        with in_plain_words(f"{self.name} cannot be looked up"):
            said = self.cloudformation.list_change_sets(StackName=self.name)
        return [one["ChangeSetName"] for one in said["Summaries"]]

    def create(self, template: Template) -> None:
        """Start to create the stack. CloudFormation rolls back a failure."""
        with in_plain_words(f"{self.name} cannot be created"):
            self.cloudformation.create_stack(**self.request(template))

    def update(self, template: Template) -> bool:
        """Start to update the stack. Returns False when there is nothing to change."""
        from botocore.exceptions import ClientError

        with in_plain_words(f"{self.name} cannot be updated"):
            try:
                self.cloudformation.update_stack(**self.request(template))
            except ClientError as exc:
                if "No updates are to be performed" in exc.response["Error"]["Message"]:
                    return False
                raise
        return True

    def continue_rollback(self) -> None:
        """Continue a rollback that failed."""
        with in_plain_words(f"{self.name}: its rollback cannot continue"):
            self.cloudformation.continue_update_rollback(StackName=self.name)

    def delete(self, stack: Stack) -> None:
        """Start to delete the stack."""
        with in_plain_words(f"{self.name} cannot be deleted"):
            self.cloudformation.delete_stack(StackName=stack.id)

    def last_event(self, stack: Stack) -> str | None:
        """Return the id of the newest event."""
        with in_plain_words(f"{self.name} cannot be looked up"):
            return next((event.id for event in self._events(stack, None)), None)

    def wait(self, stack: Stack, after: str | None) -> Stack | None:
        """Wait until no operation is in progress; pass events after `after` to the listeners.

        Returns:
            The stack; None when it is deleted.

        Raises:
            DeployError: it cannot be followed, or takes longer than three hours; AWS continues.
        """
        found = None
        for _ in range(MAX_POLLS):
            found = self._look_up(stack.id)
            for event in self._later_events(stack, after):
                after = event.id
                for listener in self._listeners:
                    listener(event)
            if found is None or not found.moving:
                return found
            self.pause(POLL_S)
        raise DeployError(f"{self.name} is still {found.status if found else 'gone'}; AWS goes on")

    def _look_up(self, which: str) -> Stack | None:
        """Look a stack up by its name, or by its id, which is never used again."""
        from botocore.exceptions import ClientError

        with in_plain_words(f"{self.name} cannot be looked up"):
            try:
                (said,) = self.cloudformation.describe_stacks(StackName=which)["Stacks"]
            except ClientError as exc:
                if is_missing(exc):
                    return None
                raise
        return None if said["StackStatus"] == GONE else _stack(said)

    def _is_our_plan(self, found: Stack) -> bool:
        """Return whether the stack holds only the change set of an interrupted `plan`."""
        if found.status != PLANNED:
            return False
        return all(one == CHANGE_SET for one in self.change_sets())

    def _later_events(self, stack: Stack, after: str | None) -> list[Event]:
        """Return the events after `after`, oldest first."""
        with in_plain_words(f"{self.name} cannot be followed; AWS continues"):
            return list(self._events(stack, after))[::-1]

    def _events(self, stack: Stack, after: str | None) -> Iterator[Event]:
        """Yield the events after `after`, newest first. The last page read ends at `after`."""
        pages = self.cloudformation.get_paginator("describe_stack_events")
        for page in pages.paginate(StackName=stack.id):
            for said in page["StackEvents"]:
                if said["EventId"] == after:
                    return
                yield _event(said)


def _stack(said: dict[str, Any]) -> Stack:
    return Stack(
        id=said["StackId"],
        status=said["StackStatus"],
        reason=said.get("StackStatusReason", ""),
        outputs={one["OutputKey"]: one["OutputValue"] for one in said.get("Outputs", ())},
        tags={one["Key"]: one["Value"] for one in said.get("Tags", ())},
    )


def _event(said: dict[str, Any]) -> Event:
    return Event(
        id=said["EventId"],
        resource=said["LogicalResourceId"],
        kind=said.get("ResourceType", ""),
        physical=said.get("PhysicalResourceId", ""),
        status=said["ResourceStatus"],
        reason=said.get("ResourceStatusReason", ""),
    )
