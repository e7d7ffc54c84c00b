"""What CloudFormation would send of a template, held against the shapes of AWS's own API."""

import re
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

PSEUDO = {"AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012", "AWS::Partition": "aws"}
# What Ref gives where it is not the name.
ARNS = {
    "AWS::ApplicationAutoScaling::ScalingPolicy": "arn:aws:autoscaling:eu-west-1:123456789012:x",
}
NAMES = {
    "AWS::SageMaker::Model": "ModelName",
    "AWS::SageMaker::EndpointConfig": "EndpointConfigName",
    "AWS::SageMaker::Endpoint": "EndpointName",
}
OPERATIONS = {
    "AWS::SageMaker::Model": ("sagemaker", "CreateModel"),
    "AWS::SageMaker::EndpointConfig": ("sagemaker", "CreateEndpointConfig"),
    "AWS::SageMaker::Endpoint": ("sagemaker", "CreateEndpoint"),
    "AWS::ApplicationAutoScaling::ScalableTarget": (
        "application-autoscaling",
        "RegisterScalableTarget",
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": ("application-autoscaling", "PutScalingPolicy"),
    "AWS::CloudWatch::Alarm": ("cloudwatch", "PutMetricAlarm"),
    "AWS::CloudWatch::Dashboard": ("cloudwatch", "PutDashboard"),
}
# Of CloudFormation alone.
NOT_SENT = {"RetainAllVariantProperties"}

_session = botocore.session.get_session()
_models: dict[str, Any] = {}


def references(value):
    """Every logical id, and attribute or None, that a part of a template refers to."""
    if isinstance(value, list):
        return [one for part in value for one in references(part)]
    if not isinstance(value, dict):
        return []
    if set(value) == {"Ref"}:
        return [(value["Ref"], None)]
    if set(value) == {"Fn::GetAtt"}:
        return [tuple(value["Fn::GetAtt"])]
    if set(value) == {"Fn::Sub"}:
        inside = re.findall(r"\$\{([^}.]+)\.?([^}]*)\}", value["Fn::Sub"])
        return [(name, attribute or None) for name, attribute in inside]
    return [one for part in value.values() for one in references(part)]


def resolve(value, resources):
    """The value with its intrinsic functions replaced by what they would give."""
    if isinstance(value, list):
        return [resolve(one, resources) for one in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return _reference(value["Ref"], None, resources)
    if set(value) == {"Fn::GetAtt"}:
        return _reference(*value["Fn::GetAtt"], resources)
    if set(value) == {"Fn::Sub"}:
        return re.sub(
            r"\$\{([^}.]+)\.?([^}]*)\}",
            lambda found: _reference(found[1], found[2] or None, resources),
            value["Fn::Sub"],
        )
    return {name: resolve(one, resources) for name, one in value.items()}


def problems(resource, resources):
    """What is wrong with the request that a resource becomes; "" when nothing is."""
    service, operation = OPERATIONS[resource["Type"]]
    request = resolve(resource["Properties"], resources)
    request = {name: one for name, one in request.items() if name not in NOT_SENT}
    if resource["Type"] == "AWS::CloudWatch::Alarm":
        request["AlarmName"] = "given-by-cloudformation"
    if resource["Type"] == "AWS::CloudWatch::Dashboard":
        request["DashboardName"] = "given-by-cloudformation"
    if "ScalingTargetId" in request:
        target = resolve(resources[request.pop("ScalingTargetId")]["Properties"], resources)
        names = ("ServiceNamespace", "ResourceId", "ScalableDimension")
        request |= {name: target[name] for name in names}
    return check(service, operation, request)


def check(service, operation, request):
    """The report of botocore's validator, and names that the shape does not have."""
    if service not in _models:
        _models[service] = _session.get_service_model(service)
    shape = _models[service].operation_model(operation).input_shape
    found = ParamValidator().validate(request, shape).generate_report()
    return found + "".join(_unknown(request, shape, operation))


def _unknown(value, shape, path):
    """Names, enumerations and patterns, none of which botocore's validator looks at."""
    if shape.type_name == "structure":
        for name, one in value.items():
            if name not in shape.members:
                yield f"{path}.{name} is unknown; "
            else:
                yield from _unknown(one, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for one in value:
            yield from _unknown(one, shape.member, path)
    elif shape.type_name == "string":
        if getattr(shape, "enum", None) and value not in shape.enum:
            yield f"{path}={value} is none of its values; "
        pattern = shape.metadata.get("pattern")
        if pattern and not re.search(r"\\[pu]", pattern) and not re.fullmatch(pattern, value):
            yield f"{path}={value} does not match {pattern}; "
        if len(value) > shape.metadata.get("max", len(value)):
            yield f"{path}={value} is too long; "


def _reference(name, attribute, resources):
    if name in PSEUDO:
        return PSEUDO[name]
    resource = resources[name]
    kind, properties = resource["Type"], resource["Properties"]
    if kind in NAMES:
        return resolve(properties[NAMES[kind]], resources)
    if attribute == "Arn":
        return f"arn:aws:iam::123456789012:role/{name}"
    if attribute == "GroupId":
        return "sg-0123456789abcdef0"
    return ARNS.get(kind, name)
