"""Why a stack failed: the reasons of CloudFormation, the endpoint and its container."""

from __future__ import annotations

from typing import Any

from deploy.errors import DeployError
from deploy.stack import logs
from deploy.stack.stack import Event

ENDPOINT = "AWS::SageMaker::Endpoint"
LINES = 20


class Reasons:
    """Collects the reasons of failed events while a change is waited for.

    Args:
        sagemaker: boto3's client, called while a failed endpoint still exists.
    """

    def __init__(self, sagemaker: Any) -> None:
        self._sagemaker = sagemaker
        self.said: list[str] = []

    def hear(self, event: Event) -> None:
        """Keep the reason of an event that failed."""
        if not event.failed:
            return
        reasons = [event.reason or event.status]
        if event.kind == ENDPOINT and event.physical:
            reasons += self._of_endpoint(event.physical.rpartition("/")[2])
        self.said += [
            f"{event.resource}: {one}"
            for one in reasons
            if not any(one in old for old in self.said)
        ]

    def _of_endpoint(self, name: str) -> list[str]:
        """Return SageMaker's reason; nothing on AWS errors, since the event has a reason, too."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            said = self._sagemaker.describe_endpoint(EndpointName=name)
        except (BotoCoreError, ClientError):
            return []
        return [said["FailureReason"]] if said.get("FailureReason") else []


def last_words(client: Any, group: str, since_ms: int) -> list[str]:
    """Return the last lines of a log since an attempt began, after a heading, for people.

    Args:
        client: boto3's `logs` client.
        group: the log group.
        since_ms: when the attempt began, ms since 1970.
    """
    try:
        lines = logs.tail(client, group, LINES, since_ms=since_ms)
    except DeployError as exc:
        return [str(exc)]
    if not lines:
        return [f"no line in {group}: no container has started, or it wrote nothing"]
    return [f"the last lines of {group}:", *(line.text for line in lines)]
