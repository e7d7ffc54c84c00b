"""CloudWatch alarms of an endpoint. Pure.

On SageMaker's metrics, "Monitor SageMaker with CloudWatch", and on those that the container writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.template.config import Config
from deploy.template.endpoint import VARIANT
from serve.observe.cloudwatch import metrics

NAMESPACE = "AWS/SageMaker"
# Failed requests, in the container or the platform, within 5 minutes.
ERRORS = 5
# Minutes of load beyond the target: new instances do not start, or there are too few.
NO_CAPACITY_MINUTES = 15
# Percent of the items, of at least this many in 5 minutes; thumbnails that are gone are normal.
FAILURES_PERCENT, FAILURES_OF = 50, 100
# Minutes with refusals within 15: more than a burst.
OVERLOADED_MINUTES = 10
# Decoding on the same cores makes batches up to 3 times as long: docs/decisions/0012.
SLOWDOWN = 4
# Minutes within 15: lines come a little later each time, so now and then a minute has none.
SLOW_MINUTES = 12


def alarms(config: Config) -> dict[str, dict[str, Any]]:
    """Return the alarms' resources by logical id."""
    found = {"ErrorsAlarm": _errors(config), "LatencyAlarm": _latency(config)}
    if config.mode == "async":
        found["NoCapacityAlarm"] = _no_capacity_async(config)
    elif config.mode == "realtime":
        found["NoCapacityAlarm"] = _no_capacity(config)
    if config.emits_metrics:
        found |= {
            "FailuresAlarm": _failures(config),
            "OverloadedAlarm": _overloaded(config),
            "SlowAlarm": _slow(config),
        }
    return found


def rollback(config: Config) -> list[str]:
    """Return the logical ids of the alarms that roll back an update."""
    # A serverless endpoint has no instances, so it has no blue/green update.
    return ["ErrorsAlarm", "LatencyAlarm"] if config.mode in ("realtime", "async") else []


def alarm(config: Config, what: str, *, of_variant: bool = True, **properties: Any) -> Any:
    """Return an alarm on a metric of SageMaker's, of the endpoint or of its variant."""
    dimensions = {"EndpointName": config.name}
    if of_variant:
        dimensions["VariantName"] = VARIANT
    return _alarm(config, what, **_on(NAMESPACE, dimensions), **properties)


def _alarm(config: Config, what: str, **properties: Any) -> Any:
    """Return an alarm. Missing data raises none."""
    actions = [config.alarm_topic] if config.alarm_topic else []
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": f"{config.name}: {what}",
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            **({"AlarmActions": actions} if actions else {}),
            **properties,
        },
    }


def _on(namespace: str, dimensions: Mapping[str, str]) -> dict[str, Any]:
    found = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    return {"Namespace": namespace, "Dimensions": found}


def _on_ours(config: Config, **dimensions: str) -> dict[str, Any]:
    """Return where a metric of the container is."""
    return _on(metrics.NAMESPACE, {"Endpoint": config.service.emf_endpoint, **dimensions})


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


def _failures(config: Config) -> Any:
    """Return the alarm on the share of items that fail, whatever their codes."""
    sums = [
        {
            "Id": name.lower(), "ReturnData": False,
            "MetricStat": {
                "Metric": {"MetricName": name, **_on_ours(config)}, "Period": 300, "Stat": "Sum",
            },
        }
        for name in ("Items", "Failures")
    ]  # fmt: skip
    share = f"IF(items >= {FAILURES_OF}, 100 * failures / items, 0)"
    return _alarm(
        config, f"{FAILURES_PERCENT} % of the items failed for 15 minutes",
        Metrics=[{"Id": "share", "Expression": share, "Label": "% of items failed"}, *sums],
        EvaluationPeriods=3, Threshold=FAILURES_PERCENT,
    )  # fmt: skip


def _overloaded(config: Config) -> Any:
    return _alarm(
        config, f"requests were refused as overloaded in {OVERLOADED_MINUTES} of 15 minutes",
        **_on_ours(config, Code="overloaded"), MetricName="RequestErrors", Statistic="Sum",
        Period=60, EvaluationPeriods=15, DatapointsToAlarm=OVERLOADED_MINUTES, Threshold=1,
    )  # fmt: skip


def _slow(config: Config) -> Any:
    return _alarm(
        config, f"batches of an instance take {SLOWDOWN} times as long as when they were tuned",
        **_on_ours(config), MetricName="Slowdown", Statistic="Maximum", Period=60,
        EvaluationPeriods=15, DatapointsToAlarm=SLOW_MINUTES, Threshold=SLOWDOWN,
    )  # fmt: skip
