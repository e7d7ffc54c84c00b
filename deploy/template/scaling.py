"""How many instances, by how much there is to do. Pure."""

from __future__ import annotations

from typing import Any

from deploy.template.alarms import NAMESPACE, alarm
from deploy.template.config import Config
from deploy.template.endpoint import VARIANT

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
# A new instance downloads image and model before it helps; only then look again.
OUT_S = 300
# Keep an instance through a lull: one that goes has to be loaded again.
IN_S = 600


RESOURCES = ("ScalableTarget", "ScalingPolicy", "FromZeroPolicy", "FromZeroAlarm")


def scaling(config: Config) -> dict[str, dict[str, Any]]:
    """The scaling resources by logical id; none for a fixed number of instances."""
    if not config.scales:
        return {}
    found = {"ScalableTarget": _target(config), "ScalingPolicy": _tracking(config)}
    if config.mode == "async" and config.instances_min == 0:
        found["FromZeroPolicy"] = _from_zero()
        found["FromZeroAlarm"] = _backlog_alarm(config)
    return found


def goes_first(standing: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether scaling has to go before one template becomes the other.

    "Update endpoints that use auto scaling": a scaled variant is given no other instance type.
    """
    scaled = "ScalableTarget" in standing["Resources"]
    return scaled and _instance_type(standing) != _instance_type(wanted)


def without_scaling(template: dict[str, Any]) -> dict[str, Any]:
    """The same template with a fixed number of instances."""
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
        # As many may wait as are worked on.
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
    """Without instances there is no backlog per instance: one starts when anything waits."""
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
    # It calls an instance; it is nothing to be told of.
    found["Properties"]["AlarmActions"] = [{"Ref": "FromZeroPolicy"}]
    return found
