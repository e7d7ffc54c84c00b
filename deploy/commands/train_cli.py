"""`sweetspot deploy train`: a training job of the image, followed to its end."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from deploy import aws
from deploy.errors import ConfigError, DeployError
from deploy.template import config, hardware
from deploy.template.training import (
    INPUT_MODES,
    MAX_KEEP_ALIVE_S,
    MAX_RUNTIME_S,
    TrainingJob,
    training_job,
)
from deploy.training import Follower, Report, start
from serve.commands.train.job.hyperparameters import HyperparameterError, words_of

# Spare capacity may be waited for as long as the job may run.
WAITS = 2


@click.command()
@click.argument("job")
@click.option("--image", required=True, help="ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG")
@click.option("--role", required=True, help="ARN of the role that the job runs as")
@click.option("--data", required=True, help="s3://bucket/prefix/ of pairs: channel train")
@click.option("--validation", help="s3://bucket/prefix/ of pairs to compare on")
@click.option("--forgetting", help="s3://bucket/prefix/ of pairs of the base's own task")
@click.option(
    "--model", help="base: s3://bucket/prefix of a checkpoint or a model.tar.gz, a hub id, builtin"
)
@click.option("--output", required=True, help="s3://bucket/prefix/ for the artifact")
@click.option(
    "--set", "options", multiple=True, metavar="NAME=VALUE",
    help="an option of `sweetspot train`, such as epochs=8; may be repeated",
)  # fmt: skip
@click.option(
    "--env", "variables", multiple=True, metavar="NAME=VALUE",
    help="a variable of the container; may be repeated",
)  # fmt: skip
@click.option("--instance-type", required=True, help="such as ml.g5.xlarge")
@click.option("--cuda", default=hardware.IMAGE_CUDA, show_default=True, help="image's CUDA")
@click.option(
    "--instances", type=click.IntRange(1, config.MAX_INSTANCES), default=1, show_default=True
)
@click.option(
    "--input-mode", type=click.Choice(INPUT_MODES), default=INPUT_MODES[0], show_default=True,
    help="read from S3 as it is needed, or copy all before",
)  # fmt: skip
@click.option("--spot", is_flag=True, help="on spare capacity, which AWS may take back")
@click.option(
    "--max-runtime-s", type=click.IntRange(1, MAX_RUNTIME_S), default=24 * 3600, show_default=True
)
@click.option(
    "--max-wait-s", type=click.IntRange(1, 2 * MAX_RUNTIME_S),
    help="--spot: for capacity and training together  [default: twice --max-runtime-s]",
)  # fmt: skip
@click.option(
    "--checkpoints",
    help="s3://bucket/prefix/ to go on from  [default: none, with --spot in the output]",
)
@click.option(
    "--keep-alive-s", type=click.IntRange(0, MAX_KEEP_ALIVE_S), default=0, show_default=True,
    help="instances stay so long for another job, and cost as much",
)  # fmt: skip
@click.option("--volume-gb", type=click.IntRange(1), default=50, show_default=True, help="disk")
@click.option("--subnet", "subnets", multiple=True, help="to run in a VPC; may be repeated")
@click.option(
    "--security-group", "security_groups", multiple=True, help="for the VPC; may be repeated"
)
@click.option("--dry-run", is_flag=True, help="print the CreateTrainingJob request alone")
@click.option("--json", "as_json", is_flag=True, help="print the report as JSON")
@click.pass_context
def train(
    ctx: click.Context, /, *, job: str, data: str, validation: str | None, forgetting: str | None,
    model: str | None, options: tuple[str, ...], variables: tuple[str, ...], spot: bool,
    max_runtime_s: int, max_wait_s: int | None, subnets: tuple[str, ...],
    security_groups: tuple[str, ...], dry_run: bool, as_json: bool, **flags: Any,
) -> None:  # fmt: skip
    """Fine-tune a checkpoint on SageMaker by the same image.

    Starts a training job, and prints its states and its log until it ends. Ctrl-C stops the
    printing, not the job; the same command follows it again.

    \b
    Examples:
      sweetspot deploy train first --image IMAGE --role ROLE --instance-type ml.g5.xlarge \\
        --data s3://pairs/ --output s3://models/
      sweetspot deploy train second --image IMAGE --role ROLE --instance-type ml.g5.xlarge \\
        --data s3://pairs/ --output s3://models/ --set lora=16 --spot
    """
    if max_wait_s is not None and not spot:
        raise ConfigError("--max-wait-s needs --spot")
    chosen = _pairs("--set", options)
    channels = {"train": data, "validation": validation, "forgetting": forgetting}
    if model and model.startswith("s3://"):
        channels["model"] = model
    elif model:
        chosen["model"] = model
    _check(ctx, chosen)
    described = TrainingJob(
        name=job,
        channels={name: uri for name, uri in channels.items() if uri},
        hyperparameters=chosen,
        variables=_pairs("--env", variables),
        max_runtime_s=max_runtime_s,
        max_wait_s=(max_wait_s or WAITS * max_runtime_s) if spot else None,
        network=config.Network(subnets, security_groups),
        **flags,
    )
    request = training_job(described)
    if dry_run:
        click.echo(json.dumps(request, indent=2))
        return
    sagemaker, logs = aws.client("sagemaker"), aws.client("logs")
    start(sagemaker, request)
    found = _wait(sagemaker, logs, job)
    click.echo(json.dumps(asdict(found))) if as_json else _show(found, described)
    if found.status != "Completed":
        raise DeployError(f"{job}: {found.status}: {found.reason or 'no reason given'}")


def _pairs(flag: str, given: Sequence[str]) -> dict[str, str]:
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise ConfigError(f"{flag} {one}: must be NAME=VALUE")
        found[name] = value
    return found


def _check(ctx: click.Context, hyperparameters: Mapping[str, str]) -> None:
    """Refuse now what the container would refuse, once it has started and is paid for."""
    commands = ctx.find_root().command
    command = commands.get_command(ctx, "train") if isinstance(commands, click.Group) else None
    if command is None:
        return
    try:
        words_of(hyperparameters, command)
    except HyperparameterError as exc:
        raise ConfigError(f"--set: {exc}") from exc


def _wait(sagemaker: Any, logs: Any, job: str) -> Report:
    follower = Follower(sagemaker, logs, job, _tell, threading.Event().wait)
    try:
        return follower.follow()
    except KeyboardInterrupt:
        raise DeployError(
            f"stopped following; {job} goes on: the same command follows it again, and `aws "
            f"sagemaker stop-training-job --training-job-name {job}` stops it"
        ) from None


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _show(found: Report, job: TrainingJob) -> None:
    for name, value in found.metrics.items():
        click.echo(f"{name} {value:g}")
    if found.trained_s is not None and found.billed_s is not None:
        click.echo(f"trained for {found.trained_s:,} s, billed {found.billed_s:,} s")
    if found.artifact:
        words = ("--image", job.image, "--artifact", found.artifact)
        click.echo(f"{found.artifact}; deploy it: sweetspot deploy up NAME {shlex.join(words)}")
