"""Model, endpoint configuration and endpoint, and their security group. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from deploy.template.config import Config

VARIANT = "AllTraffic"
# Old instances are kept this long after the new ones, and after a canary: alarms cover 5 minutes.
BAKE_S = 600
# An update that takes longer is given up.
UPDATE_LIMIT_S = 3600


def security_group(config: Config) -> dict[str, Any]:
    """Return a group without inbound rules; outbound to web servers and AWS services."""
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
    """Return the model: the image, its artifact and its variables."""
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
    """Return the model's name, with a digest of its contents, since a model cannot change."""
    return _named(config, [config.image, config.artifact, config.environment, repr(config.network)])


def endpoint_config(config: Config) -> dict[str, Any]:
    """Return the endpoint configuration: instance type and number, or serverless memory."""
    properties: dict[str, Any] = {"ProductionVariants": [_variant(config)]}
    if config.mode == "async":
        properties["AsyncInferenceConfig"] = _asynchronous(config)
    name = _named(config, [properties, model_name(config), config.scales])
    return {
        "Type": "AWS::SageMaker::EndpointConfig",
        "Properties": {"EndpointConfigName": name, **properties},
    }


def endpoint(config: Config, rollback_alarms: list[str]) -> dict[str, Any]:
    """Return the endpoint. Updates run beside the old instances; an alarm rolls them back."""
    properties: dict[str, Any] = {
        "EndpointName": config.name,
        "EndpointConfigName": {"Fn::GetAtt": ["EndpointConfig", "EndpointConfigName"]},
    }
    if rollback_alarms:
        # Keep the number that autoscaling has set; a fixed number is in the configuration.
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
        "InitialInstanceCount": max(1, config.instances_min),  # zero is not allowed at the start
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
    """With several instances, replace one first; the others follow when no alarm goes off."""
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
