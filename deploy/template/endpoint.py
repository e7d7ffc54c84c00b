"""Model, endpoint configuration and endpoint, and their security group. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from deploy.template.config import Config

VARIANT = "AllTraffic"
# Old instances wait for so long behind the new ones, and behind a canary: alarms look at 5 minutes.
BAKE_S = 600
# Instances of a new configuration are given up after so long.
UPDATE_LIMIT_S = 3600


def security_group(config: Config) -> dict[str, Any]:
    """Nobody comes in; out to web servers and AWS's own services."""
    rules = [
        {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": "0.0.0.0/0",
         "Description": what}
        for port, what in ((443, "thumbnails and AWS"), (80, "thumbnails"))
    ]  # fmt: skip
    properties = {
        "GroupDescription": f"Sweetspot deployment {config.name}",
        "VpcId": config.network.vpc,
        "SecurityGroupEgress": rules,
    }
    return {"Type": "AWS::EC2::SecurityGroup", "Properties": properties}


def model(config: Config) -> dict[str, Any]:
    """The image, its artifact and its variables."""
    container: dict[str, Any] = {"Image": config.image, "Environment": config.environment}
    if config.artifact is not None:
        container["ModelDataUrl"] = config.artifact
    properties: dict[str, Any] = {
        "ExecutionRoleArn": {"Fn::GetAtt": ["ExecutionRole", "Arn"]},
        "PrimaryContainer": container,
    }
    if config.network.subnets:
        made = [{"Fn::GetAtt": ["SecurityGroup", "GroupId"]}] if config.network.vpc else []
        properties["VpcConfig"] = {
            "Subnets": list(config.network.subnets),
            "SecurityGroupIds": made or list(config.network.security_groups),
        }
    return {
        "Type": "AWS::SageMaker::Model",
        "Properties": {"ModelName": model_name(config), **properties},
    }


def model_name(config: Config) -> str:
    """The model's own: a model cannot be changed, so what differs has another name."""
    return _named(config, [config.image, config.artifact, config.environment, repr(config.network)])


def endpoint_config(config: Config) -> dict[str, Any]:
    """How many of which instances serve the model, or how much memory."""
    properties: dict[str, Any] = {"ProductionVariants": [_variant(config)]}
    if config.mode == "async":
        properties["AsyncInferenceConfig"] = _asynchronous(config)
    name = _named(config, [properties, model_name(config), config.scales])
    return {
        "Type": "AWS::SageMaker::EndpointConfig",
        "Properties": {"EndpointConfigName": name, **properties},
    }


def endpoint(config: Config, rollback_alarms: list[str]) -> dict[str, Any]:
    """The endpoint. An update runs beside the old instances, and goes back on an alarm."""
    properties: dict[str, Any] = {
        "EndpointName": config.name,
        "EndpointConfigName": {"Fn::GetAtt": ["EndpointConfig", "EndpointConfigName"]},
    }
    if rollback_alarms:
        # As many as autoscaling has found; a fixed number is the configuration's.
        properties["RetainAllVariantProperties"] = config.scales
        properties["DeploymentConfig"] = _blue_green(config.instances_min, rollback_alarms)
    return {"Type": "AWS::SageMaker::Endpoint", "Properties": properties}


def _variant(config: Config) -> dict[str, Any]:
    variant: dict[str, Any] = {
        "VariantName": VARIANT,
        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
        "InitialVariantWeight": 1,
    }
    if config.mode == "serverless":
        limits = config.serverless
        variant["ServerlessConfig"] = {
            "MemorySizeInMB": limits.memory_mb,
            "MaxConcurrency": limits.concurrency,
        }
        return variant
    variant |= {
        "InstanceType": config.instance_type,
        "InitialInstanceCount": max(1, config.instances_min),  # from zero nothing starts
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    }
    if config.machine_image:
        variant["InferenceAmiVersion"] = config.machine_image
    return variant


def _asynchronous(config: Config) -> dict[str, Any]:
    objects = config.objects
    output: dict[str, Any] = {
        "S3OutputPath": objects.output,
        "S3FailurePath": f"{str(objects.output).rstrip('/')}/failed",
    }
    topics = {"SuccessTopic": objects.success_topic, "ErrorTopic": objects.error_topic}
    if any(topics.values()):
        output["NotificationConfig"] = {name: one for name, one in topics.items() if one}
    most = min(1000, max(1, round(config.concurrency)))
    return {
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": most},
        "OutputConfig": output,
    }


def _blue_green(instances: int, alarms: list[str]) -> dict[str, Any]:
    """One new instance first, where there are several: the others follow when no alarm went off."""
    routing: dict[str, Any] = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": BAKE_S}
    if instances > 1:  # a canary is at most half of the instances
        routing |= {"Type": "CANARY", "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1}}
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": BAKE_S,
            "MaximumExecutionTimeoutInSeconds": UPDATE_LIMIT_S,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": {"Ref": one}} for one in alarms]},
    }


def _named(config: Config, facts: list[Any]) -> str:
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return f"{config.name}-{digest[:8]}"
