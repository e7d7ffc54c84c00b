"""The request that starts a training job, from the flags of `deploy train`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from deploy.errors import ConfigError
from deploy.template import hardware, names
from deploy.template.config import Network, check_network
from serve.observe.training_lines import METRICS

InputMode = Literal["File", "FastFile"]
INPUT_MODES: tuple[InputMode, ...] = ("FastFile", "File")
CHANNELS = ("train", "validation", "forgetting", "model")
# Limits of CreateTrainingJob.
MAX_RUNTIME_S, MAX_KEEP_ALIVE_S = 28 * 24 * 3600, 6 * 3600
MAX_ENTRIES, MAX_NAME_CHARS, MAX_VALUE_CHARS = 100, 256, 2500
MAX_VARIABLE_CHARS = 512
# A log group of all training jobs of an account and region; a job's streams begin with its name.
TRAINING_LOGS = "/aws/sagemaker/TrainingJobs"
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_PREFIX = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?")


@dataclass(frozen=True)
class TrainingJob:
    """A training job. channels: S3 prefix by name; `train` at least. output: an S3 prefix.

    max_wait_s: on spot instances, for capacity and training together; None is on demand.
    checkpoints: an S3 prefix from which a job with the same data and options goes on; on spot
    instances the default is below the output. keep_alive_s: how long instances stay for another
    job. volume_gb: of the disk of instances that have none of their own.
    """

    name: str
    image: str
    role: str
    channels: Mapping[str, str]
    output: str
    instance_type: str
    instances: int = 1
    input_mode: InputMode = "FastFile"
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    checkpoints: str | None = None
    max_runtime_s: int = 24 * 3600
    max_wait_s: int | None = None
    keep_alive_s: int = 0
    volume_gb: int = 50
    cuda: str = hardware.IMAGE_CUDA
    network: Network = field(default_factory=Network)

    def __post_init__(self) -> None:
        """Raise ConfigError unless AWS and the container would take it."""
        names.check_name(self.name)
        names.parse_image(self.image)
        hardware.check_capability(self.instance_type, self.cuda)
        if not _ROLE.fullmatch(self.role):
            raise ConfigError(f"--role {self.role}: must be the ARN of an IAM role")
        for name, uri in self._uris().items():
            if not _PREFIX.fullmatch(uri):
                raise ConfigError(
                    f"--{name} {uri}: must look like s3://bucket/prefix/; a bucket has no capitals"
                )
        if self.network.subnets and not self.network.security_groups:
            raise ConfigError("--subnet needs --security-group")
        check_network(self.network)
        self._check_times()
        self._check_maps()

    @property
    def kept_at(self) -> str | None:
        """The S3 prefix of its checkpoints; None if they are not kept."""
        if self.checkpoints or self.max_wait_s is None:
            return self.checkpoints
        return f"{self.output.rstrip('/')}/{self.name}/checkpoints/"

    def _uris(self) -> dict[str, str]:
        flags = {"data" if name == "train" else name: uri for name, uri in self.channels.items()}
        found = flags | {"output": self.output}
        return found | ({"checkpoints": self.checkpoints} if self.checkpoints else {})

    def _check_times(self) -> None:
        if self.max_wait_s is None:
            return
        if self.max_wait_s < self.max_runtime_s:
            raise ConfigError(
                f"--max-wait-s {self.max_wait_s}: must be at least --max-runtime-s "
                f"{self.max_runtime_s}, which it includes"
            )
        if self.keep_alive_s:
            raise ConfigError("--keep-alive-s: spot instances cannot be kept for another job")

    def _check_maps(self) -> None:
        for flag, found, most in (
            ("--set", self.hyperparameters, MAX_VALUE_CHARS),
            ("--env", self.variables, MAX_VARIABLE_CHARS),
        ):
            if len(found) > MAX_ENTRIES:
                raise ConfigError(f"{flag}: SageMaker takes {MAX_ENTRIES} of them")
            for name, value in found.items():
                if len(name) > MAX_NAME_CHARS or len(value) > most:
                    raise ConfigError(
                        f"{flag} {name[:MAX_NAME_CHARS]}: SageMaker takes names of "
                        f"{MAX_NAME_CHARS} and values of {most} characters"
                    )
        for name in self.variables:
            if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
                raise ConfigError(f"--env {name}: not the name of a variable")


def training_job(job: TrainingJob) -> dict[str, Any]:
    """Return the CreateTrainingJob request."""
    stopping = {"MaxRuntimeInSeconds": job.max_runtime_s}
    resources: dict[str, Any] = {
        "InstanceType": job.instance_type,
        "InstanceCount": job.instances,
        "VolumeSizeInGB": job.volume_gb,
    }
    if job.keep_alive_s:
        resources["KeepAlivePeriodInSeconds"] = job.keep_alive_s
    request: dict[str, Any] = {
        "TrainingJobName": job.name,
        "AlgorithmSpecification": {
            "TrainingImage": job.image,
            "TrainingInputMode": job.input_mode,
            "MetricDefinitions": [
                {"Name": name, "Regex": regex} for name, regex in METRICS.items()
            ],
        },
        "RoleArn": job.role,
        "InputDataConfig": [_channel(name, uri, job) for name, uri in job.channels.items()],
        "OutputDataConfig": {"S3OutputPath": job.output},
        "ResourceConfig": resources,
        "StoppingCondition": stopping,
    }
    if job.hyperparameters:
        request["HyperParameters"] = dict(job.hyperparameters)
    if job.variables:
        request["Environment"] = dict(job.variables)
    if job.network.subnets:
        request["VpcConfig"] = {
            "Subnets": list(job.network.subnets),
            "SecurityGroupIds": list(job.network.security_groups),
        }
    if job.kept_at:
        request["CheckpointConfig"] = {"S3Uri": job.kept_at}
    if job.max_wait_s is not None:
        request["EnableManagedSpotTraining"] = True
        stopping["MaxWaitTimeInSeconds"] = job.max_wait_s
    return request


def _channel(name: str, uri: str, job: TrainingJob) -> dict[str, Any]:
    """Return a channel. Every instance gets all of it: each reads all rows.

    A base is copied: its weights are not read from begin to end.
    """
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": source},
        "InputMode": "File" if name == "model" else job.input_mode,
    }
