"""The execution role: what the endpoint may do, and nothing else. Pure."""

from __future__ import annotations

from typing import Any

from deploy.template.config import Config
from deploy.template.names import parse_image, parse_uri

Statement = dict[str, Any]
# Actions that IAM cannot narrow to a resource, or that name one which does not exist yet.
REGISTRY_LOGIN = "ecr:GetAuthorizationToken"
METRICS = "cloudwatch:PutMetricData"
DESCRIBE_NETWORK = (
    "ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets", "ec2:DescribeVpcs",
)  # fmt: skip
# "Log Groups and Streams" in SageMaker's guide; an endpoint's group ends with its name.
ENDPOINT_LOGS, JOB_LOGS = "/aws/sagemaker/Endpoints/", "/aws/sagemaker/TransformJobs"
HERE = "${AWS::Region}:${AWS::AccountId}"


def role(config: Config, rollback_alarms: list[str]) -> dict[str, Any]:
    """Return the role's resource. Required permissions: "SageMaker Roles", CreateModel API.

    rollback_alarms: logical ids of the alarms that roll back an update.
    """
    statements = [
        *_image(config), *_logs(config), *_alarms(rollback_alarms), *_objects(config),
        *_network(config),
    ]  # fmt: skip
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "Description": f"What the Sweetspot deployment {config.name} may do",
            "AssumeRolePolicyDocument": _trust(),
            "Policies": [
                {
                    "PolicyName": "endpoint",
                    "PolicyDocument": {"Version": "2012-10-17", "Statement": statements},
                }
            ],
        },
    }


def log_group(config: Config) -> str:
    """Return the name of the log group of the endpoint, or of all transform jobs."""
    return JOB_LOGS if config.mode == "transform" else ENDPOINT_LOGS + config.name


def arn(rest: str) -> dict[str, str]:
    """Return an ARN in the partition, region and account of the stack."""
    return {"Fn::Sub": "arn:${AWS::Partition}:" + rest}


def _trust() -> dict[str, Any]:
    """SageMaker, on behalf of this account only."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
            }
        ],
    }


def _allow(actions: list[str], resources: list[Any], **more: Any) -> Statement:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def _image(config: Config) -> list[Statement]:
    image = parse_image(config.image)
    repository = f"ecr:{image['region']}:{image['account']}:repository/{image['repository']}"
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    return [_allow([REGISTRY_LOGIN], ["*"]), _allow(pull, [arn(repository)])]


def _logs(config: Config) -> list[Statement]:
    group = f"logs:{HERE}:log-group:{log_group(config)}"
    kind = "TransformJobs" if config.mode == "transform" else "Endpoints"
    namespaces = {"cloudwatch:namespace": ["AWS/SageMaker", f"/aws/sagemaker/{kind}"]}
    return [
        _allow(["logs:CreateLogGroup", "logs:DescribeLogStreams"], [arn(group), arn(group + ":*")]),
        _allow(["logs:CreateLogStream", "logs:PutLogEvents"], [arn(group + ":log-stream:*")]),
        _allow([METRICS], ["*"], Condition={"StringEquals": namespaces}),
    ]


def _alarms(names: list[str]) -> list[Statement]:
    """SageMaker reads the alarms with this role: "Auto-Rollback Configuration and Monitoring"."""
    arns = [arn(f"cloudwatch:{HERE}:alarm:${{{one}}}") for one in names]
    return [_allow(["cloudwatch:DescribeAlarms"], arns)] if arns else []


def _objects(config: Config) -> list[Statement]:
    """Allow S3 access to the artifact, the thumbnails, and the inputs and outputs."""
    reads = [arn(f"s3:::{bucket}/*") for bucket in config.buckets]
    if config.artifact is not None:
        reads.append(arn("s3:::" + "/".join(parse_uri(config.artifact, "--artifact"))))
    found = []
    if config.objects.input and config.objects.output:
        (source, key), (target, folder) = (
            parse_uri(config.objects.input, "--input"),
            parse_uri(config.objects.output, "--output"),
        )
        reads.append(arn(f"s3:::{source}/{key}*"))
        write = ["s3:AbortMultipartUpload", "s3:PutObject"]
        found.append(_allow(write, [arn(f"s3:::{target}/{folder}*")]))
        for bucket, prefix in ((source, key), (target, folder)):
            listed = {"StringLike": {"s3:prefix": f"{prefix}*"}}
            found.append(_allow(["s3:ListBucket"], [arn(f"s3:::{bucket}")], Condition=listed))
    topics = [one for one in (config.objects.success_topic, config.objects.error_topic) if one]
    if topics:
        found.append(_allow(["sns:Publish"], sorted(set(topics))))
    return ([_allow(["s3:GetObject"], reads)] if reads else []) + found


def _network(config: Config) -> list[Statement]:
    """Allow network interfaces in the named subnets."""
    if not config.network.subnets:
        return []
    interfaces = arn(f"ec2:{HERE}:network-interface/*")
    subnets = [arn(f"ec2:{HERE}:subnet/{one}") for one in config.network.subnets]
    groups = [arn(f"ec2:{HERE}:security-group/{one}") for one in config.network.security_groups]
    if config.network.vpc:
        groups = [arn(f"ec2:{HERE}:security-group/${{SecurityGroup.GroupId}}")]
    ours = [
        "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface",
        "ec2:DeleteNetworkInterfacePermission",
    ]  # fmt: skip
    return [
        _allow(["ec2:CreateNetworkInterface"], [interfaces, *subnets, *groups]),
        _allow(ours, [interfaces]),
        _allow(list(DESCRIBE_NETWORK), ["*"]),
    ]
