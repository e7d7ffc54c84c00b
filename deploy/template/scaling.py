"""Autoscaling: the number of instances follows the load. Pure."""

from __future__ import annotations

from typing import Any

from deploy.template.alarms import NAMESPACE, alarm
from deploy.template.config import Config
from deploy.template.endpoint import VARIANT

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
# A new instance first downloads image and model; do not scale again before it helps.
OUT_S = 300
# Keep an instance through a short lull: a removed one must be loaded again.
IN_S = 600


RESOURCES = ("ScalableTarget", "ScalingPolicy", "FromZeroPolicy", "FromZeroAlarm")


def scaling(config: Config) -> dict[str, dict[str, Any]]:
    """Return the scaling resources by logical id; none for a fixed number of instances."""
    if not config.scales:
        return {}
    found = {"ScalableTarget": _target(config), "ScalingPolicy": _tracking(config)}
    if config.mode == "async" and config.instances_min == 0:
        found["FromZeroPolicy"] = _from_zero()
        found["FromZeroAlarm"] = _backlog_alarm(config)
    return found


def goes_first(standing: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Return whether scaling must be removed before one template can become the other.

    "Update endpoints that use auto scaling": a scaled variant cannot change its instance type.
    """
    scaled = "ScalableTarget" in standing["Resources"]
    return scaled and _instance_type(standing) != _instance_type(wanted)


def without_scaling(template: dict[str, Any]) -> dict[str, Any]:
    """Return the same template with a fixed number of instances."""
    rest = {name: one for name, one in template["Resources"].items() if name not in RESOURCES}
    return template | {"Resources": rest}


def _instance_type(template: dict[str, Any]) -> Any:
    found = template["Resources"].get("EndpointConfig")
    return found and found["Properties"]["ProductionVariants"][0].get("InstanceType")


def _target(config: Config) -> dict[str, Any]:
    return {
        "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
        "Properties": {
            "ServiceNamespace": "sagemaker",
            "ScalableDimension": DIMENSION,
            "ResourceId": {"Fn::Sub": f"endpoint/${{Endpoint.EndpointName}}/variant/{VARIANT}"},
            "MinCapacity": config.instances_min,
            "MaxCapacity": config.instances_max,
        },
    }


def _policy(kind: str, name: str, **properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
        "Properties": {
            "PolicyName": name,
            "PolicyType": kind,
            "ScalingTargetId": {"Ref": "ScalableTarget"},
            **properties,
        },
    }


def _tracking(config: Config) -> dict[str, Any]:
    tracking: dict[str, Any] = {"ScaleOutCooldown": OUT_S, "ScaleInCooldown": IN_S}
    if config.mode == "async":
        # As many requests may wait as are being processed.
        tracking["TargetValue"] = 2 * config.concurrency
        tracking["CustomizedMetricSpecification"] = {
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Namespace": NAMESPACE,
            "Dimensions": [{"Name": "EndpointName", "Value": config.name}],
            "Statistic": "Average",
        }
    else:
        metric = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
        tracking["TargetValue"] = config.concurrency
        tracking["PredefinedMetricSpecification"] = {"PredefinedMetricType": metric}
    return _policy(
        "TargetTrackingScaling", "keep-target", TargetTrackingScalingPolicyConfiguration=tracking
    )


def _from_zero() -> dict[str, Any]:
    """Start an instance when requests wait: with none there is no backlog per instance."""
    step = {
        "AdjustmentType": "ChangeInCapacity",
        "MetricAggregationType": "Average",
        "Cooldown": OUT_S,
        "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
    }
    return _policy("StepScaling", "from-zero", StepScalingPolicyConfiguration=step)


def _backlog_alarm(config: Config) -> Any:
    found = alarm(
        config, "requests wait without an instance", of_variant=False,
        MetricName="HasBacklogWithoutCapacity", Statistic="Average", Period=60,
        EvaluationPeriods=2, DatapointsToAlarm=2, Threshold=1,
    )  # fmt: skip
    # It starts an instance, and sends no notification.
    found["Properties"]["AlarmActions"] = [{"Ref": "FromZeroPolicy"}]
    return found
