"""The request that starts a batch transform over a model. Pure."""

from __future__ import annotations

from typing import Any

from deploy.config import Config
from deploy.endpoint import model_name


def transform_job(config: Config) -> dict[str, Any]:
    """CreateTransformJob, a line out for a line in. The container says how it wants to be asked."""
    resources: dict[str, Any] = {
        "InstanceType": config.instance_type,
        "InstanceCount": max(1, config.instances_min),
    }
    if config.machine_image:
        resources["TransformAmiVersion"] = config.machine_image
    source = {"S3DataType": "S3Prefix", "S3Uri": config.objects.input}
    return {
        "TransformJobName": config.name,
        "ModelName": model_name(config),
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": config.request_timeout_s},
        "TransformInput": {
            "DataSource": {"S3DataSource": source},
            "ContentType": "application/jsonlines",
            "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": config.objects.output,
            "Accept": "application/jsonlines",
            "AssembleWith": "Line",
        },
        "DataProcessing": {"JoinSource": "Input"},
        "TransformResources": resources,
    }
