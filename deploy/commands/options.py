"""The flags of a deployment, shared by the commands that render it. Light to import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from deploy.errors import ConfigError
from deploy.template import capacity, config, hardware
from deploy.template.config import Config, Network, Objects, Serverless
from inference.profile import profile
from inference.profile.profile import ProfileError
from serve.options import asked_price

_OPTIONS = (
    click.argument("name"),
    click.option("--image", required=True, help="ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG"),
    click.option("--mode", type=click.Choice(config.MODES), default="realtime", show_default=True),
    click.option("--artifact", help="s3://bucket/model.tar.gz  [default: the built-in model]"),
    click.option(
        "--model-folder",
        "models",
        multiple=True,
        help="a model's folder in the artifact, when it holds several; may be repeated",
    ),
    click.option("--instance-type", default=config.INSTANCE_TYPE, show_default=True),
    click.option(
        "--cuda",
        default=hardware.IMAGE_CUDA,
        show_default=True,
        help="CUDA version of the image, for GPU instances",
    ),
    click.option(
        "--min",
        "instances_min",
        type=int,
        help="instances; 0 only for async  [default: 1, async 0]",
    ),
    click.option(
        "--max", "instances_max", type=int, default=4, show_default=True, help="instances"
    ),
    click.option(
        "--profile",
        "profile_file",
        type=click.Path(dir_okay=False),
        help="sweetspot.json, measured on this instance type",
    ),
    click.option(
        "--items",
        type=click.IntRange(1, 50_000),
        help="images a request  [default: the profile's sweet spot]",
    ),
    click.option(
        "--concurrency",
        type=float,
        help="requests at once per instance  [default: from the profile, else 4]",
    ),
    click.option(
        "--bucket",
        "buckets",
        multiple=True,
        help="bucket of thumbnails for s3:// URLs; may be repeated",
    ),
    click.option(
        "--env",
        "variables",
        multiple=True,
        metavar="NAME=VALUE",
        help="a setting of the service; may be repeated",
    ),
    click.option("--subnet", "subnets", multiple=True, help="to run in a VPC; may be repeated"),
    click.option(
        "--security-group", "security_groups", multiple=True, help="for the VPC; may be repeated"
    ),
    click.option("--vpc", help="create a security group in it, without inbound rules"),
    click.option(
        "--memory-mb", type=int, default=4096, show_default=True, help="serverless: 1024 to 6144"
    ),
    click.option(
        "--serverless-concurrency",
        type=int,
        default=5,
        show_default=True,
        help="serverless: requests at once",
    ),
    click.option("--input", "input_uri", help="async, transform: s3://bucket/prefix/ of requests"),
    click.option("--output", "output_uri", help="async, transform: s3://bucket/prefix/ of answers"),
    click.option("--success-topic", help="async: ARN of the SNS topic for each answer"),
    click.option("--error-topic", help="async: ARN of the SNS topic for each failure"),
    click.option(
        "--timeout-s",
        type=int,
        help="async, transform: limit of a request  [default: 900, transform 600]",
    ),
    click.option("--alarm-topic", help="ARN of the SNS topic for alarms"),
    click.option(
        "--latency-alarm-ms",
        type=int,
        default=55_000,
        show_default=True,
        help="alarm when p95 exceeds it",
    ),
)


def with_config(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags of a deployment; `from_flags` reads them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def from_flags(
    *, profile_file: str | None, items: int | None, concurrency: float | None,
    instances_min: int | None, variables: Sequence[str], subnets: tuple[str, ...],
    security_groups: tuple[str, ...], vpc: str | None, memory_mb: int,
    serverless_concurrency: int, input_uri: str | None, output_uri: str | None,
    success_topic: str | None, error_topic: str | None, **flags: Any,
) -> Config:  # fmt: skip
    """Return the deployment that the flags describe.

    Raises:
        ConfigError: the deployment is invalid.
    """
    if profile_file is not None:
        if concurrency is not None:
            raise ConfigError("give --concurrency, or --profile to compute it, not both")
        gpu = hardware.is_gpu(flags["instance_type"])
        concurrency = capacity.concurrency(read_profiles(profile_file), gpu=gpu, items=items)
    elif items is not None:
        raise ConfigError("--items needs --profile")
    if concurrency is not None:
        flags["concurrency"] = concurrency
    if instances_min is None:
        instances_min = 0 if flags["mode"] == "async" else 1
    config = Config(
        instances_min=instances_min,
        variables=dict(_pair(one) for one in variables),
        network=Network(subnets, security_groups, vpc),
        serverless=Serverless(memory_mb, serverless_concurrency),
        objects=Objects(input_uri, output_uri, success_topic, error_topic),
        **flags,
    )
    if config.artifact is None and not (config.service.model or config.service.models):
        click.echo(
            f"{config.name}: without --artifact this deploys the built-in model, a demonstration",
            err=True,
        )
    return config


def expected_price(
    config: Config, profile_file: str | None, per_hour: float | None, prices: Path | None
) -> str | None:
    """Return what to expect to pay, in a sentence; None when no price was given.

    Raises:
        ConfigError: a price without a profile or of something that is no instance.
        click.UsageError: the price is missing or impossible.
    """
    price = asked_price(per_hour, config.instance_type, prices)
    if price is None:
        return None
    if profile_file is None:
        raise ConfigError("a price needs --profile, which says how fast an instance is")
    if config.mode == "serverless":
        raise ConfigError("a price is of instances: serverless is billed by the time of a request")
    gpu = hardware.is_gpu(config.instance_type)
    best = capacity.fastest(read_profiles(profile_file), gpu=gpu)
    return capacity.price_sentence(best, price, (config.instances_min, config.instances_max))


def read_profiles(path: str) -> list[profile.Profile]:
    """Return the profiles of a file. Raises ConfigError."""
    try:
        return profile.read(Path(path))
    except ProfileError as exc:
        raise ConfigError(f"--profile {exc}") from exc


def _pair(variable: str) -> tuple[str, str]:
    name, equals, value = variable.partition("=")
    if not equals:
        raise ConfigError(f"--env {variable}: must be NAME=VALUE")
    return name, value
