"""`sweetspot deploy invoke | smoke | logs`: call an endpoint, check it, read its logs."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deploy.commands.asking import asking
from deploy.errors import DeployError
from deploy.template import names

if TYPE_CHECKING:
    from serve.wire.client_side import Result

_model = click.option("--model", help="one of the models that it serves  [default: the first]")


@click.command()
@click.argument("endpoint")
@click.argument("inputs", nargs=-1)
@click.option("--text", "texts", multiple=True, help="a text to embed; may be repeated")
@_model
@click.option("--json", "as_json", is_flag=True, help="print a line of JSON for each input")
def invoke(
    endpoint: str, inputs: tuple[str, ...], texts: tuple[str, ...], *, model: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Embed files, URLs and texts with a deployment.

    ENDPOINT may also be the URL of a container. Exits with 1 when an input fails.

    \b
    Examples:
      sweetspot deploy invoke designs https://example.com/a.jpg --text "dark login screen"
      sweetspot deploy invoke designs shots/*.png --json
      sweetspot deploy invoke http://localhost:8080 s3://thumbnails/a.png
    """
    from serve.wire.client_side import Failed, encode_item

    if not inputs and not texts:
        raise click.UsageError("nothing to embed: name files, URLs, or --text")
    with asking(endpoint, model) as ask:
        given = [*map(_item, inputs), *({"text": one} for one in texts)]
        answer = ask([encode_item(*one) for one in enumerate(given)])
    for name, result in zip((*inputs, *texts), answer.results, strict=True):
        click.echo(json.dumps(_as_dict(name, result)) if as_json else _line(name, result))
    raise SystemExit(1 if any(isinstance(one, Failed) for one in answer.results) else 0)


@click.command()
@click.argument("endpoint")
@click.option("--against", help="another deployment or URL of the same checkpoint")
@_model
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def smoke(endpoint: str, against: str | None, model: str | None, *, as_json: bool) -> None:
    """Check that a deployment embeds correctly.

    Embeds a thumbnail and a text, and checks unit norm, repeatability, and parity with known
    vectors of the built-in model, or with another container of the same checkpoint. Exits with 1
    when a check fails.

    \b
    Examples:
      sweetspot deploy smoke designs
      sweetspot deploy smoke both --model components --against http://localhost:8080
    """
    from deploy.commands import tables
    from deploy.smoke import smoke as checks_of
    from serve.observe.console import open_console

    with asking(endpoint, model) as ask:
        if against is None:
            found = checks_of(ask)
        else:
            with asking(against, None) as other:
                found = checks_of(ask, other)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found]))
    else:
        open_console().print(tables.checks(found))
    raise SystemExit(1 if any(one.ok is False for one in found) else 0)


@click.command()
@click.argument("name")
@click.option(
    "--lines", type=click.IntRange(1, 10_000), default=50, show_default=True, help="at most"
)
@click.option("--job", is_flag=True, help="NAME is a transform job")
def logs(name: str, lines: int, *, job: bool) -> None:
    """Print the last log lines of a deployment's containers.

    Includes the lines of a failed start.

    \b
    Examples:
      sweetspot deploy logs designs
      sweetspot deploy logs monday --job --lines 1000 > monday.log
    """
    from deploy import aws
    from deploy.stack.logs import tail
    from deploy.template import role

    names.check_name(name)
    group, prefix = (role.JOB_LOGS, f"{name}/") if job else (role.ENDPOINT_LOGS + name, None)
    found = tail(aws.client("logs"), group, lines, prefix=prefix)
    if not found:
        raise DeployError(f"no line of {name} in {group}")
    for line in found:
        at = datetime.fromtimestamp(line.at_ms / 1000, UTC)
        click.echo(f"{at:%Y-%m-%dT%H:%M:%S}Z {line.stream} {line.text}")


def _item(given: str) -> dict[str, Any]:
    from serve.wire.client_side import is_url

    if is_url(given):
        return {"url": given}
    try:
        return {"image": Path(given).read_bytes()}
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise DeployError(f"{given} cannot be read: {reason}") from exc


def _as_dict(name: str, result: Result) -> dict[str, Any]:
    from serve.wire.client_side import Failed

    if isinstance(result, Failed):
        error = {"code": result.code, "message": result.message, "retryable": result.retryable}
        return {"input": name, "error": error}
    return {"input": name, "embedding": result.embedding.tolist()}


def _line(name: str, result: Result) -> str:
    from serve.wire.client_side import Failed

    if isinstance(result, Failed):
        return f"{name}: {result.code}: {result.message}"
    first = " ".join(f"{one:+.3f}" for one in result.embedding[:4])
    return f"{name}: {first} ...  {len(result.embedding)} dimensions"
