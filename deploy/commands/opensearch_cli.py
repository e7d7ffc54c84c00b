"""`sweetspot deploy opensearch`: the requests that make an endpoint searchable in OpenSearch."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from deploy.errors import DeployError
from deploy.opensearch import config
from deploy.opensearch.config import Connection, Vectors
from deploy.opensearch.requests import console, requests
from deploy.template import names

TEXT = "a dark login screen"


@click.command()
@click.argument("name")
@click.option("--region", help="of the endpoint  [default: the configured one]")
@click.option("--role-arn", help="role for OpenSearch Service  [default: access keys]")
@click.option("--model", help="one of the models that it serves  [default: the first]")
@click.option(
    "--texts-only",
    is_flag=True,
    help="many texts a request, no images  [default: a text, an image, or both]",
)
@click.option(
    "--vectors",
    type=click.Choice(config.VECTORS),
    default="float32",
    show_default=True,
    help="what the index keeps of float32; byte has 7 bits",
)
@click.option("--dimension", type=int, help="of the embeddings  [default: asks the endpoint]")
@click.option("--fingerprint", help="of the checkpoint  [default: asks the endpoint]")
@click.option("--json", "as_json", is_flag=True, help="print a JSON list of requests")
def opensearch(
    *, name: str, region: str | None, role_arn: str | None, model: str | None, texts_only: bool,
    vectors: Vectors, dimension: int | None, fingerprint: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Print the requests that connect OpenSearch to a deployment.

    Connector, model group, model, ingest and search pipelines and a k-NN index, for the console of
    Dev Tools, in the order in which they are sent. Sends nothing to OpenSearch. With --region,
    --dimension and --fingerprint it asks nobody and needs no AWS account.

    \b
    Examples:
      sweetspot deploy opensearch designs --role-arn arn:aws:iam::123456789012:role/search
      sweetspot deploy opensearch designs --vectors float16 --json > requests.json
    """
    names.check_name(name)
    if (dimension is None) != (fingerprint is None):
        raise click.UsageError("give both --dimension and --fingerprint, or neither")
    if dimension is None or fingerprint is None:
        dimension, fingerprint = _asked(name, model)
    connection = Connection(
        endpoint=name,
        region=region or _region(),
        dimension=dimension,
        fingerprint=fingerprint,
        model=model,
        role_arn=role_arn,
        texts_only=texts_only,
        vectors=vectors,
    )
    found = requests(connection)
    text = json.dumps([asdict(one) for one in found], indent=2) if as_json else console(found)
    click.echo(text)


def _asked(name: str, model: str | None) -> tuple[int, str]:
    """Return the dimension and the fingerprint of what a deployment serves."""
    from deploy.commands.asking import asking
    from deploy.stack.resolve_target import standing
    from serve.wire.client_side import Failed, encode_item

    if standing(name).outputs.get("Mode") == "async":
        raise DeployError(f"{name} is asynchronous: OpenSearch waits for answers; use realtime")
    with asking(name, model) as ask:
        answer = ask([encode_item(0, {"text": TEXT})])
    (result,) = answer.results
    if isinstance(result, Failed):
        raise DeployError(f"{name} cannot embed a text: {result.code}: {result.message}")
    return len(result.embedding), answer.fingerprint


def _region() -> str:
    from deploy import aws

    region: str = aws.client("sagemaker-runtime").meta.region_name
    return region
