"""The configuration of a deployment: frozen, and checked before anything is rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from deploy.errors import ConfigError
from deploy.template import environment, hardware, names
from serve.settings import Settings

Mode = Literal["realtime", "async", "serverless", "transform"]
MODES: tuple[Mode, ...] = get_args(Mode)

# Four Sapphire Rapids cores, whose AMX OpenVINO uses for bfloat16 and int8, and 8 GiB.
INSTANCE_TYPE = "ml.c7i.xlarge"
# SageMaker's own: InvocationTimeoutSeconds of an asynchronous invocation, and
# InvocationsTimeoutInSeconds of a transform job.
TIMEOUT_S = {"async": 900, "transform": 600}
MAX_TIMEOUT_S = 3600
# Of ServerlessConfig.
MEMORY_MB = tuple(range(1024, 6145, 1024))
MAX_SERVERLESS_CONCURRENCY = 200
# SageMaker's default quota of an account is lower; more is taken for a typing error.
MAX_INSTANCES = 100


@dataclass(frozen=True)
class Network:
    """The instances' network. vpc: create a security group in it; else the named ones are used."""

    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    vpc: str | None = None


@dataclass(frozen=True)
class Serverless:
    """memory_mb: a whole number of GiB from 1 to 6. concurrency: requests at once, 1 to 200."""

    memory_mb: int = 4096
    concurrency: int = 5


@dataclass(frozen=True)
class Objects:
    """S3 URIs of prefixes, and SNS topics notified of each result; not for real time."""

    input: str | None = None
    output: str | None = None
    success_topic: str | None = None
    error_topic: str | None = None


@dataclass(frozen=True)
class Config:
    """One deployment.

    artifact: S3 URI of a model.tar.gz, or None for the image's built-in model. buckets: thumbnails
    may be read from them. concurrency: requests per instance at which another one starts.
    timeout_s: limit of a request, async and transform; None is SageMaker's own. models: folders
    in the artifact.
    """

    name: str
    image: str
    mode: Mode = "realtime"
    artifact: str | None = None
    models: tuple[str, ...] = ()
    instance_type: str = INSTANCE_TYPE
    cuda: str = hardware.IMAGE_CUDA
    instances_min: int = 1
    instances_max: int = 4
    concurrency: float = 4.0
    buckets: tuple[str, ...] = ()
    network: Network = Network()
    serverless: Serverless = Serverless()
    objects: Objects = Objects()
    alarm_topic: str | None = None
    latency_alarm_ms: int = 55_000
    timeout_s: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ConfigError for what AWS, or the service, would refuse later."""
        _check_names(self)
        _check_mode(self)
        _check_sizes(self)
        check_network(self.network)
        _ = self.service  # raises for what the service would refuse

    @property
    def machine_image(self) -> str | None:
        """The machine image whose driver the image's CUDA needs; None without a GPU."""
        if self.mode == "serverless":
            return None
        return hardware.machine_image(
            self.instance_type, self.cuda, transform=self.mode == "transform"
        )

    @property
    def environment(self) -> dict[str, str]:
        """The container's variables: derived from the deployment, then overridden by --env."""
        return environment.of(
            name=self.name, buckets=self.buckets, models=self.models,
            timeout_s=self.request_timeout_s, in_batch=self.mode == "transform",
        ) | dict(self.variables)  # fmt: skip

    @property
    def service(self) -> Settings:
        """The settings of the service in the container."""
        return environment.check(self.environment, in_batch=self.mode == "transform")

    @property
    def emits_metrics(self) -> bool:
        """Whether the container writes metrics for CloudWatch; inside SageMaker, `auto` is on."""
        return self.service.emf != "off"

    @property
    def scales(self) -> bool:
        """Whether autoscaling sets the number of instances."""
        return self.mode in ("realtime", "async") and self.instances_min < self.instances_max

    @property
    def request_timeout_s(self) -> int | None:
        """The time limit of a request, s; None where SageMaker fixes it."""
        return self.timeout_s or TIMEOUT_S.get(self.mode)


def _check_names(config: Config) -> None:
    names.check_name(config.name)
    names.parse_image(config.image)
    if config.artifact is not None:
        names.check_artifact(config.artifact)
    for bucket in config.buckets:
        names.check_bucket(bucket)
    for flag, topic in (
        ("--alarm-topic", config.alarm_topic),
        ("--success-topic", config.objects.success_topic),
        ("--error-topic", config.objects.error_topic),
    ):
        if topic is not None:
            names.check_topic(topic, flag)
    if config.models and config.artifact is None:
        raise ConfigError("--model-folder names a folder of an artifact; give --artifact, too")


def _check_mode(config: Config) -> None:
    if config.mode not in MODES:
        raise ConfigError(f"--mode {config.mode}: must be one of {', '.join(MODES)}")
    objects = config.objects
    if config.mode in ("async", "transform"):
        for flag, uri in (("--input", objects.input), ("--output", objects.output)):
            if uri is None:
                raise ConfigError(f"{flag} is missing: {config.mode} reads and writes S3")
            names.parse_uri(uri, flag)
    elif objects.input or objects.output:
        raise ConfigError(f"--input and --output are for async and transform, not {config.mode}")
    if config.mode != "async" and (objects.success_topic or objects.error_topic):
        raise ConfigError("--success-topic and --error-topic are for async endpoints only")
    if config.mode == "serverless":
        _check_serverless(config)
    elif config.mode in ("realtime", "async"):
        _check_instances(config)
    _ = config.machine_image  # raises for a pair known not to work


def _check_serverless(config: Config) -> None:
    if config.network != Network():
        raise ConfigError("--subnet: serverless endpoints cannot be in a VPC")
    if hardware.is_gpu(config.instance_type):
        raise ConfigError(f"--instance-type {config.instance_type}: serverless has no GPUs")
    memory_mb, concurrency = config.serverless.memory_mb, config.serverless.concurrency
    if memory_mb not in MEMORY_MB:
        raise ConfigError(
            f"--memory-mb {memory_mb}: serverless has 1024, 2048, 3072, 4096, 5120 or 6144"
        )
    if not 1 <= concurrency <= MAX_SERVERLESS_CONCURRENCY:
        raise ConfigError(f"--serverless-concurrency {concurrency}: must be from 1 to 200")


def _check_instances(config: Config) -> None:
    lowest = 0 if config.mode == "async" else 1
    if not lowest <= config.instances_min <= config.instances_max <= MAX_INSTANCES:
        why = "" if config.mode == "async" else "; only async scales to zero"
        raise ConfigError(
            f"--min {config.instances_min} --max {config.instances_max}: must be from {lowest} to "
            f"{MAX_INSTANCES}, the first at most the second{why}"
        )
    if config.instances_max == 0:
        raise ConfigError("--max 0: nothing would ever run")


def _check_sizes(config: Config) -> None:
    if config.timeout_s is not None and config.mode not in TIMEOUT_S:
        raise ConfigError(f"--timeout-s is for async and transform; {config.mode} always has 60 s")
    if config.timeout_s is not None and not 1 <= config.timeout_s <= MAX_TIMEOUT_S:
        raise ConfigError(f"--timeout-s {config.timeout_s}: must be from 1 to {MAX_TIMEOUT_S}")
    if not 0.1 <= config.concurrency <= 1000:
        raise ConfigError(f"--concurrency {config.concurrency:g}: must be from 0.1 to 1000")
    if not 1 <= config.latency_alarm_ms <= MAX_TIMEOUT_S * 1000:
        raise ConfigError(
            f"--latency-alarm-ms {config.latency_alarm_ms}: must be from 1 to 3600000"
        )


def check_network(network: Network) -> None:
    """Raise ConfigError unless AWS would take it."""
    if network == Network():
        return
    if not 1 <= len(network.subnets) <= 16:
        raise ConfigError("--subnet: a VPC needs from 1 to 16 subnets")
    if bool(network.security_groups) == (network.vpc is not None):
        raise ConfigError("--subnet needs either --security-group, or --vpc to create one in")
    if len(network.security_groups) > 5:
        raise ConfigError("--security-group: at most 5")
    vpcs = [network.vpc] if network.vpc else []
    for flag, kind, ids in (
        ("--subnet", "subnet", network.subnets),
        ("--security-group", "sg", network.security_groups),
        ("--vpc", "vpc", vpcs),
    ):
        for one in ids:
            names.check_id(one, kind, flag)
