"""`sweetspot deploy transform`: a batch transform, and a table of what failed."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from typing import Any

import click

from deploy import aws
from deploy.errors import ConfigError
from deploy.template import config, hardware, names
from deploy.template.job import job_request
from deploy.transform import Report, check_input, follow, report, request_timeout_s, start


@click.command()
@click.argument("job")
@click.option(
    "--model", required=True, help="name of the SageMaker model that `up --mode transform` created"
)
@click.option(
    "--input",
    "source",
    required=True,
    help="s3://bucket/prefix of JSON Lines: every object whose key begins with it",
)
@click.option(
    "--output", required=True, help="s3://bucket/prefix; answers go to a folder named after the job"
)
@click.option("--instance-type", default=config.INSTANCE_TYPE, show_default=True)
@click.option("--cuda", default=hardware.IMAGE_CUDA, show_default=True, help="image's CUDA")
@click.option(
    "--instances",
    type=click.IntRange(1, config.MAX_INSTANCES),
    default=1,
    show_default=True,
    help="at most one per object: they share the objects of the input, not the lines of one",
)
@click.option("--json", "as_json", is_flag=True, help="print the report as JSON")
def transform(
    *, job: str, model: str, source: str, output: str, instance_type: str, cuda: str,
    instances: int, as_json: bool,
) -> None:  # fmt: skip
    """Embed every line of objects in S3, and report what failed.

    Waits for the job, and counts failures by their code. A line is an item, for example
    {"url": "https://..."}. Ctrl-C stops the waiting, not the job: run the same command again to
    wait for it, or to report it once it has ended. The container sets the size of requests and
    their concurrency, from the profile in its artifact.

    \b
    Examples:
      sweetspot deploy transform monday --model designs --input s3://jobs/urls.jsonl --output s3://jobs/out/
      sweetspot deploy transform all --model designs --instances 4 --input s3://jobs/in/ --output s3://jobs/out/
    """
    names.check_name(job)
    names.parse_uri(source, "--input")
    names.parse_uri(output, "--output")
    folder = f"{output.rstrip('/')}/{job}/"
    if folder.startswith(source):
        raise ConfigError(f"--output {folder} is in --input: the next job would embed it")
    machine_image = hardware.machine_image(instance_type, cuda, transform=True)
    sagemaker, s3 = aws.client("sagemaker"), aws.client("s3")
    check_input(s3, source, instances)
    request = job_request(
        name=job,
        model=model,
        source=source,
        output=folder,
        instance_type=instance_type,
        instances=instances,
        machine_image=machine_image,
        timeout_s=request_timeout_s(sagemaker, model),
    )
    start(sagemaker, request)
    found = _wait(sagemaker, s3, job)
    click.echo(json.dumps(asdict(found))) if as_json else _show(found)
    if found.status != "Completed":
        raise click.ClickException(f"{job}: {found.status}: {found.reason or 'no reason given'}")


def _wait(sagemaker: Any, s3: Any, job: str) -> Report:
    from rich.console import Console

    said: dict[str, Any] = {}
    with Console(stderr=True).status(f"{job}: started") as status:
        for said in follow(sagemaker, job, threading.Event().wait):
            status.update(f"{job}: {said['TransformJobStatus']}")
        status.update(f"{job}: {said['TransformJobStatus']}, reading its outputs")
        return report(s3, said)


def _show(found: Report) -> None:
    from rich.table import Table

    from serve.observe.console import open_console

    table = Table("outcome", "items", box=None, pad_edge=False)
    table.add_row("embedded", f"{found.embedded:,}")
    for code, count in found.failed.items():
        table.add_row(code, f"{count:,}")
    console = open_console()
    console.print(table)
    console.print(found.output, markup=False)
