"""`sweetspot deploy`: create, watch and delete an endpoint of a checkpoint. Light to import."""

from __future__ import annotations

import json
from typing import Any

import click

from deploy.commands import endpoint_cli, stack_cli
from deploy.commands.artifact_cli import artifact
from deploy.commands.opensearch_cli import opensearch
from deploy.commands.options import from_flags, with_config
from deploy.commands.train_cli import train
from deploy.commands.transform_cli import transform
from deploy.errors import DeployError
from deploy.template.job import transform_job
from deploy.template.template import template
from model.files import write_whole
from serve.wire.client_side import EndpointError


class _Plain(click.Group):
    """Shows an error of a command in one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """See click."""
        try:
            return super().invoke(ctx)
        except (DeployError, EndpointError) as exc:
            raise click.ClickException(str(exc)) from exc


@click.group(cls=_Plain)
def deploy() -> None:
    """Deploy a checkpoint to SageMaker, watch it, delete it.

    \b
    In this order:
      sweetspot deploy artifact --model ./checkpoint --upload s3://BUCKET/model.tar.gz
      sweetspot deploy plan designs --image IMAGE --artifact s3://BUCKET/model.tar.gz
      sweetspot deploy up designs --image IMAGE --artifact s3://BUCKET/model.tar.gz
      sweetspot deploy smoke designs
      sweetspot deploy status designs
      sweetspot deploy down designs
    """


@deploy.command()
@with_config
@click.option("--job", is_flag=True, help="transform: the CreateTransformJob request instead")
@click.option("-o", "--output-file", type=click.Path(dir_okay=False), help="[default: stdout]")
def render(*, job: bool, output_file: str | None, **flags: Any) -> None:
    """Print the CloudFormation template that `up` would send. Needs no AWS account.

    \b
    Examples:
      sweetspot deploy render designs --image IMAGE --bucket thumbnails
      sweetspot deploy render designs --image IMAGE --mode serverless
      sweetspot deploy render jobs --image IMAGE --mode async --input s3://jobs/in/ --output s3://jobs/out/
    """
    config = from_flags(**flags)
    if job and config.mode != "transform":
        raise click.UsageError("--job needs --mode transform")
    text = json.dumps(transform_job(config) if job else template(config), indent=2)
    if output_file is None:
        click.echo(text)
        return
    try:
        write_whole(output_file, text + "\n")
    except OSError as exc:
        raise click.ClickException(f"cannot write {output_file}: {exc.strerror}") from exc


for command in (
    artifact, stack_cli.plan, stack_cli.up, stack_cli.status, endpoint_cli.invoke,
    endpoint_cli.smoke, endpoint_cli.logs, opensearch, transform, train, stack_cli.down,
):  # fmt: skip
    deploy.add_command(command)
