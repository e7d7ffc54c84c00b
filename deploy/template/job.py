"""The request that starts a batch transform over a model. Pure."""

from __future__ import annotations

from typing import Any

from deploy.template.config import Config
from deploy.template.endpoint import model_name


def transform_job(config: Config) -> dict[str, Any]:
    """Return the CreateTransformJob request of a deployment's own model."""
    return job_request(
        name=config.name,
        model=model_name(config),
        source=str(config.objects.input),
        output=str(config.objects.output),
        instance_type=config.instance_type,
        instances=max(1, config.instances_min),
        machine_image=config.machine_image,
        timeout_s=config.request_timeout_s,
    )


def job_request(
    *, name: str, model: str, source: str, output: str, instance_type: str, instances: int,
    machine_image: str | None, timeout_s: int | None,
) -> dict[str, Any]:  # fmt: skip
    """Return a CreateTransformJob request, a line out per line in. The container sets batching."""
    resources: dict[str, Any] = {"InstanceType": instance_type, "InstanceCount": instances}
    if machine_image:
        resources["TransformAmiVersion"] = machine_image
    return {
        "TransformJobName": name,
        "ModelName": model,
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": timeout_s},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
            "ContentType": "application/jsonlines",
            "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": output,
            "Accept": "application/jsonlines",
            "AssembleWith": "Line",
        },
        "DataProcessing": {"JoinSource": "Input"},
        "TransformResources": resources,
    }
