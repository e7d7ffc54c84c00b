"""The state of a deployment. Clients are passed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deploy.aws import in_plain_words, is_missing
from deploy.stack.stack import Stack

ALARM = "AWS::CloudWatch::Alarm"


@dataclass(frozen=True)
class Variant:
    """Instances of a variant: the current and the desired number."""

    current: int
    desired: int


@dataclass(frozen=True)
class Status:
    """The state. endpoint: SageMaker's status; None without one. alarms: state by logical id."""

    name: str
    stack: str
    reason: str
    outputs: dict[str, str]
    endpoint: str | None = None
    failure: str | None = None
    instances: Variant | None = None
    alarms: dict[str, str] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether it answers; for a transform, whether its model exists."""
        if self.outputs.get("Mode") == "transform":
            return self.stack.endswith("_COMPLETE") and self.stack != "ROLLBACK_COMPLETE"
        # The old instances answer during an update.
        return self.endpoint in {"InService", "Updating", "SystemUpdating", "RollingBack"}


def status(name: str, stack: Stack, cloudformation: Any, sagemaker: Any, cloudwatch: Any) -> Status:
    """Return the state that AWS reports.

    Raises:
        DeployError: AWS cannot be asked.
    """
    endpoint = stack.outputs.get("EndpointName")
    with in_plain_words(f"{name} cannot be looked up"):
        of_endpoint = {} if endpoint is None else _endpoint(sagemaker, endpoint)
        alarms = _alarms(cloudformation, cloudwatch, stack)
    return Status(name, stack.status, stack.reason, stack.outputs, alarms=alarms, **of_endpoint)


def _endpoint(sagemaker: Any, name: str) -> dict[str, Any]:
    from botocore.exceptions import ClientError

    try:
        said = sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as exc:
        if is_missing(exc):
            return {"failure": f"endpoint {name} is gone, though its stack is there"}
        raise
    found = {"endpoint": said["EndpointStatus"], "failure": said.get("FailureReason")}
    for one in said.get("ProductionVariants", ()):
        if "CurrentInstanceCount" in one:  # a serverless variant has none
            found["instances"] = Variant(
                one["CurrentInstanceCount"], one.get("DesiredInstanceCount", 0)
            )
    return found


def _alarms(cloudformation: Any, cloudwatch: Any, stack: Stack) -> dict[str, str]:
    """Return the states of the stack's alarms, by logical id."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack.id)
    names = {
        one["PhysicalResourceId"]: one["LogicalResourceId"]
        for page in pages
        for one in page["StackResourceSummaries"]
        if one["ResourceType"] == ALARM and one.get("PhysicalResourceId")
    }
    if not names:
        return {}
    said = cloudwatch.describe_alarms(AlarmNames=sorted(names), AlarmTypes=["MetricAlarm"])
    return {names[one["AlarmName"]]: one["StateValue"] for one in said["MetricAlarms"]}
