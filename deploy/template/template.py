"""The CloudFormation template of a deployment. Pure."""

from __future__ import annotations

from typing import Any

from deploy.template import alarms, endpoint, role
from deploy.template.config import Config
from deploy.template.dashboard import dashboard
from deploy.template.scaling import scaling

Template = dict[str, Any]


def template(config: Config) -> Template:
    """Return the template of a deployment; a transform has no endpoint."""
    rollback = alarms.rollback(config)
    resources = {"ExecutionRole": role.role(config, rollback)}
    if config.network.vpc:
        resources["SecurityGroup"] = endpoint.security_group(config)
    resources["Model"] = endpoint.model(config)
    if config.mode != "transform":
        resources["EndpointConfig"] = endpoint.endpoint_config(config)
        resources |= alarms.alarms(config)
        resources["Endpoint"] = endpoint.endpoint(config, rollback)
        resources |= scaling(config)
    resources |= dashboard(config)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Sweetspot: CLIP embeddings of thumbnails, {config.mode}",
        "Resources": resources,
        "Outputs": _outputs(config),
    }


def _outputs(config: Config) -> Template:
    """Return the outputs that `status` and `down` show, even when resources are gone."""
    values: dict[str, Any] = {
        "Mode": config.mode,
        "Image": config.image,
        "LogGroup": role.log_group(config),
        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
    }
    found = {
        "Artifact": config.artifact,
        "Input": config.objects.input,
        "Output": config.objects.output,
    }
    values |= {name: value for name, value in found.items() if value is not None}
    if config.mode != "transform":
        values["EndpointName"] = {"Fn::GetAtt": ["Endpoint", "EndpointName"]}
    if config.emits_metrics:
        values["Dashboard"] = {"Ref": "Dashboard"}
    return {name: {"Value": value} for name, value in values.items()}
