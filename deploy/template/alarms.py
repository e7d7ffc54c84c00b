"""CloudWatch alarms of an endpoint. Pure. Metrics: "Monitor SageMaker with CloudWatch"."""

from __future__ import annotations

from typing import Any

from deploy.template.config import Config
from deploy.template.endpoint import VARIANT

NAMESPACE = "AWS/SageMaker"
# Failed requests, in the container or the platform, within 5 minutes.
ERRORS = 5
# Minutes of load beyond the target: new instances do not start, or there are too few.
NO_CAPACITY_MINUTES = 15


def alarms(config: Config) -> dict[str, dict[str, Any]]:
    """Return the alarms' resources by logical id."""
    found = {"ErrorsAlarm": _errors(config), "LatencyAlarm": _latency(config)}
    if config.mode == "async":
        found["NoCapacityAlarm"] = _no_capacity_async(config)
    elif config.mode == "realtime":
        found["NoCapacityAlarm"] = _no_capacity(config)
    return found


def rollback(config: Config) -> list[str]:
    """Return the logical ids of the alarms that roll back an update."""
    # A serverless endpoint has no instances, so it has no blue/green update.
    return ["ErrorsAlarm", "LatencyAlarm"] if config.mode in ("realtime", "async") else []


def alarm(config: Config, what: str, *, of_variant: bool = True, **properties: Any) -> Any:
    """Return an alarm of the endpoint, or of its variant. Missing data raises no alarm."""
    dimensions = [{"Name": "EndpointName", "Value": config.name}]
    if of_variant:
        dimensions.append({"Name": "VariantName", "Value": VARIANT})
    actions = [config.alarm_topic] if config.alarm_topic else []
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": f"{config.name}: {what}",
            "Namespace": NAMESPACE,
            "Dimensions": dimensions,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            **({"AlarmActions": actions} if actions else {}),
            **properties,
        },
    }


def _errors(config: Config) -> Any:
    # An asynchronous endpoint counts requests that failed as a whole.
    metric = "InvocationFailures" if config.mode == "async" else "Invocation5XXErrors"
    return alarm(
        config, f"{ERRORS} requests failed within 5 minutes", MetricName=metric,
        Statistic="Sum", Period=300, EvaluationPeriods=1, Threshold=ERRORS,
    )  # fmt: skip


def _latency(config: Config) -> Any:
    """Return the alarm on p95 of the container's own time. ModelLatency is in microseconds."""
    timeout_s = config.request_timeout_s
    limit_ms = int(timeout_s * 950) if timeout_s else config.latency_alarm_ms
    return alarm(
        config, f"p95 of the container's time is over {limit_ms} ms", MetricName="ModelLatency",
        ExtendedStatistic="p95", Period=60, EvaluationPeriods=5, DatapointsToAlarm=3,
        Threshold=limit_ms * 1000,
    )  # fmt: skip


def _no_capacity(config: Config) -> Any:
    """Return the alarm at twice the target: the instances autoscaling requested do not start."""
    return alarm(
        config, "more requests at once than instances are there for",
        MetricName="ConcurrentRequestsPerModel", Statistic="Maximum", Period=60,
        EvaluationPeriods=NO_CAPACITY_MINUTES, Threshold=2 * config.concurrency,
    )  # fmt: skip


def _no_capacity_async(config: Config) -> Any:
    return alarm(
        config, "requests wait and no instance comes", of_variant=False,
        MetricName="HasBacklogWithoutCapacity", Statistic="Maximum", Period=60,
        EvaluationPeriods=NO_CAPACITY_MINUTES, Threshold=1,
    )  # fmt: skip
