"""Start and follow a batch transform, and report what failed. Clients are passed in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from deploy import jobs
from deploy.aws import in_plain_words
from deploy.errors import DeployError
from deploy.template import names
from deploy.template.config import TIMEOUT_S
from serve import settings

# After these the command stops waiting; the job continues.
MAX_DAYS = 5


@dataclass(frozen=True)
class Report:
    """A job's result. failed: items by error code; `unreadable`: lines that are not answers."""

    job: str
    status: str
    reason: str | None
    output: str
    embedded: int
    failed: dict[str, int]


def check_input(s3: Any, source: str, instances: int) -> None:
    """Check that the input has at least one object for each instance.

    Raises:
        DeployError: there are fewer objects, or they cannot be listed.
    """
    bucket, prefix = names.parse_uri(source, "--input")
    with in_plain_words(f"--input {source} cannot be listed"):
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=instances)
    if not listed["KeyCount"]:
        raise DeployError(f"--input {source}: nothing is there")
    if listed["KeyCount"] < instances:
        raise DeployError(
            f"--instances {instances}: {source} has {listed['KeyCount']} objects, and instances "
            "do not share the lines of one; split them"
        )


def request_timeout_s(sagemaker: Any, model: str) -> int:
    """Return the time limit of a request, s, from the variables of the model's container.

    Raises:
        DeployError: there is no such model, or AWS cannot be asked.
    """
    with in_plain_words(f"--model {model}"):
        container = sagemaker.describe_model(ModelName=model).get("PrimaryContainer", {})
    variables = container.get("Environment", {})
    return int(variables.get(settings.variable_name("batch_timeout_s"), TIMEOUT_S["transform"]))


def start(sagemaker: Any, request: dict[str, Any]) -> None:
    """Send CreateTransformJob; do nothing when the same job exists already.

    Raises:
        DeployError: with AWS's message.
    """
    name = request["TransformJobName"]
    jobs.start(
        lambda: sagemaker.create_transform_job(**request),
        lambda: sagemaker.describe_transform_job(TransformJobName=name),
        lambda said: _identity(said) == _identity(request),
    )


def follow(sagemaker: Any, job: str, pause: Callable[[float], Any]) -> Iterator[dict[str, Any]]:
    """Yield the answers of DescribeTransformJob, as `jobs.follow`.

    Raises:
        DeployError: AWS cannot be asked, or the job has not ended after MAX_DAYS.
    """
    describe = partial(sagemaker.describe_transform_job, TransformJobName=job)
    yield from jobs.follow(job, describe, "TransformJobStatus", MAX_DAYS, pause)


def report(s3: Any, said: dict[str, Any]) -> Report:
    """Count a job's failures by code; outputs are read line by line.

    Args:
        s3: boto3's client.
        said: DescribeTransformJob of a job that has ended, with an output path of its own.

    Raises:
        DeployError: an output cannot be read.
    """
    output = said["TransformOutput"]["S3OutputPath"]
    job, status = said["TransformJobName"], said["TransformJobStatus"]
    reason = said.get("FailureReason") or None
    # A failed job may have no output; its reason is what matters then.
    with in_plain_words(f"{job}: {reason or status}; {output} cannot be read"):
        counted = Counter(map(_outcome, _lines(s3, output)))
    embedded = counted.pop(None, 0)
    failed = {str(code): count for code, count in counted.most_common()}
    return Report(job, status, reason, output, embedded, failed)


def _identity(job: dict[str, Any]) -> tuple[Any, ...]:
    """Return what identifies a job, from a request or a description."""
    source = job["TransformInput"]["DataSource"]
    return job["ModelName"], source, job["TransformOutput"]["S3OutputPath"]


def _lines(s3: Any, output: str) -> Iterator[bytes]:
    bucket, prefix = names.parse_uri(output, "--output")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for entry in page.get("Contents", ()):
            if entry["Key"].endswith(".out"):
                body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"]
                yield from filter(None, body.iter_lines())


def _outcome(line: bytes) -> str | None:
    """Return the error code of a line; None when it has an embedding."""
    try:
        result = json.loads(line)["SageMakerOutput"]
        return None if "embedding" in result else str(result["error"]["code"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return "unreadable"
