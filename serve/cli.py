"""The commands `serve`, `embed` and `settings`. Light to import: `--help` loads no model."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Collection
from typing import Any

import click

from serve import settings as declared
from serve.settings import Settings, SettingsError

BACKLOG = 2048

# Of no use to a command that answers no requests.
SERVER_ONLY = (
    "host", "port", "body_timeout_ms", "max_body_bytes", "max_bodies_bytes", "max_items",
    "max_requests", "max_deadline_ms",
)  # fmt: skip

ENCODER_ONLY = ("model", "device", "backend", "preprocess", "latency_target_ms")


def with_settings(without: Collection[str] = ()) -> Callable[[Any], Any]:
    """Give a command a flag for every setting; their help names the variable and the default."""

    def decorate(command: Any) -> Any:
        for one in reversed(declared.fields()):
            if one.name not in without:
                command = _option(one)(command)
        return command

    return decorate


def _option(one: Any) -> Any:
    names = one.metadata["kind"] == "names"
    choices = one.metadata.get("choices")
    default = "" if one.default in (None, ()) else f"  [default: {one.default}]"
    return click.option(
        declared.flag_name(one.name),
        one.name,
        multiple=names,
        metavar="|".join(choices) if choices else one.name.rsplit("_", 1)[-1].upper(),
        help=f"{one.metadata['help']}{default}",
    )


def load_settings(flags: dict[str, Any]) -> tuple[Settings, dict[str, str]]:
    """Settings and their sources; a malformed one ends the command in one line."""
    try:
        return declared.load(flags)
    except SettingsError as exc:
        raise click.ClickException(str(exc)) from exc


@click.command()
@with_settings()
def serve(**flags: Any) -> None:
    """Serve /ping and /invocations until SIGTERM.

    \b
    Examples:
      sweetspot serve
      sweetspot serve --model openai/clip-vit-large-patch14 --port 8080
      sweetspot serve --model ./checkpoint --allow-host 127.0.0.1 --allow-bucket thumbnails
    """
    settings, _ = load_settings(flags)
    # The platform wants to connect within 250 ms; all the imports take longer.
    listener = _listen(settings.host, settings.port)
    from model.errors import CheckpointError
    from model.load import precheck
    from serve.server import Server
    from serve.telemetry import configure_logging

    configure_logging()
    try:
        if settings.backend != "fake":
            precheck(settings.model)
    except CheckpointError as exc:
        raise click.ClickException(str(exc)) from exc
    Server(settings, listener).run()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as exc:
        raise click.ClickException(f"cannot listen on {host}:{port}: {exc.strerror}") from exc


@click.command()
@click.argument("inputs", nargs=-1)
@click.option("--text", "texts", multiple=True, help="a text to embed; may be repeated")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "jsonl", "npy"]),
    default="table",
    show_default=True,
    help="how to write the embeddings",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="file to write to")
@with_settings(without=SERVER_ONLY)
def embed(
    inputs: tuple[str, ...],
    texts: tuple[str, ...],
    form: str,
    output: str | None,
    **flags: Any,
) -> None:
    """Embed files, URLs and texts without a server; `-` reads a list from standard input.

    \b
    Examples:
      sweetspot embed shots/*.png --text "dark login screen"
      sweetspot embed https://example.com/a.jpg s3://bucket/b.png --allow-bucket bucket
      find thumbnails -name '*.jpg' | sweetspot embed - --format npy -o embeddings.npy
    """
    if not inputs and not texts:
        raise click.UsageError("nothing to embed: name files, URLs, or --text")
    settings, _ = load_settings(flags)
    from serve.embed import run

    raise SystemExit(run(settings, inputs, texts, form, output))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="for machines")
@with_settings()
def settings(*, as_json: bool, **flags: Any) -> None:
    """Show every setting, its value, and where the value came from.

    \b
    Examples:
      sweetspot settings
      SWEETSPOT_BATCH_SIZE=32 sweetspot settings --json
    """
    values, sources = load_settings(flags)
    rows = [(one.name, getattr(values, one.name), sources[one.name]) for one in declared.fields()]
    if as_json:
        click.echo(json.dumps({n: {"value": v, "source": s} for n, v, s in rows}, indent=2))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("setting", "value", "from", "meaning", box=None, pad_edge=False)
    for (name, value, source), one in zip(rows, declared.fields(), strict=True):
        shown = ", ".join(value) if isinstance(value, tuple) else value
        text = "-" if shown in (None, "") else str(shown)
        table.add_row(declared.flag_name(name), escape(text), source, escape(one.metadata["help"]))
    Console().print(table)


@click.group()
def benchmark() -> None:
    """Measure the encoder's batch sizes, or a running endpoint under load."""


@benchmark.command("encoder")
@click.option("--json", "as_json", is_flag=True, help="print the profile, for machines")
@click.option("--exhaustive", is_flag=True, help="also measure every image batch from 1 to 64")
@click.option("--all", "every", is_flag=True, help="every back end and precision that runs here")
@click.option("--report", type=click.Path(dir_okay=False), help="write an HTML page with charts")
@click.option("--write-profile", type=click.Path(file_okay=False), help="folder of sweetspot.json")
@click.option("--compare", type=click.Path(exists=True, dir_okay=False), help="an older profile")
@click.option("--max-loss", type=float, default=0.1, show_default=True, help="that may be lost")
@with_settings(without=[one.name for one in declared.fields() if one.name not in ENCODER_ONLY])
def benchmark_encoder(
    *,
    as_json: bool,
    exhaustive: bool,
    every: bool,
    report: str | None,
    write_profile: str | None,
    compare: str | None,
    max_loss: float,
    **flags: Any,
) -> None:
    """Measure both towers of what `serve` would run here.

    \b
    Examples:
      sweetspot benchmark encoder --report encoder.html
      sweetspot benchmark encoder --model ./checkpoint --write-profile ./checkpoint
      sweetspot benchmark encoder --latency-target-ms 50
      sweetspot benchmark encoder --compare ./checkpoint/sweetspot.json
    """
    settings, _ = load_settings(flags)
    from serve.benchmark.encoder import Asked, run

    asked = Asked(as_json, exhaustive, every, report, write_profile, compare, max_loss)
    raise SystemExit(run(settings, asked))


def _numbers(context: Any, option: Any, value: str) -> tuple[int, ...]:  # noqa: ARG001
    """Whole numbers from 1 between commas; one given twice counts once."""
    parts = [part.strip() for part in value.split(",")]
    for part in parts:
        if not (part.isascii() and part.isdigit() and int(part) > 0):
            raise click.BadParameter(f"{part!r} is no whole number from 1")
    return tuple(dict.fromkeys(map(int, parts)))


ABOVE_0 = click.FloatRange(min=0, min_open=True)


@benchmark.command("endpoint")
@click.option("--url", help="of the endpoint: http://localhost:8080, say")
@click.option("--endpoint-name", help="of an endpoint on SageMaker, asked through boto3")
@click.option("--urls", type=click.Path(exists=True, dir_okay=False), help="send these, one a line")
@click.option("--inline", is_flag=True, help="send thumbnails in the body, not URLs of them")
@click.option("--latency-ms", type=click.FloatRange(min=0), default=20.0, show_default=True,
              help="of the local server of thumbnails, whose URLs are sent by default")  # fmt: skip
@click.option("--batch", callback=_numbers, default="1,4,16,64", show_default=True,
              metavar="N,...", help="images in a request")  # fmt: skip
@click.option("--concurrency", callback=_numbers, default="1,4,16", show_default=True,
              metavar="N,...", help="requests at once: callers, who ask on and on")  # fmt: skip
@click.option("--rate", type=ABOVE_0, help="instead: requests a second, arriving at random")
@click.option("--duration-s", type=ABOVE_0, default=5.0, show_default=True,
              help="of each combination, after a warm-up")  # fmt: skip
@click.option("--interactive-rate", type=ABOVE_0,
              help="also measure so many texts and so many screenshots a second beside bulk "
              "requests of the first --batch and --concurrency")  # fmt: skip
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True,
              help="turns of bulk with and without them")  # fmt: skip
@click.option("--latency-target-ms", type=ABOVE_0,
              help="recommend only what keeps this p95 of a request")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="print one document, for machines")
@click.option("--report", type=click.Path(dir_okay=False), help="write an HTML page with charts")
@click.option("--compare", type=click.Path(exists=True, dir_okay=False), help="an older document")
@click.option("--max-loss", type=float, default=0.1, show_default=True,
              help="that the best combination may lose against it")  # fmt: skip
def benchmark_endpoint(**asked: Any) -> None:
    """Put load on a running endpoint: how many images a request, how many requests at once?

    \b
    Examples:
      sweetspot serve --allow-host 127.0.0.1     # in another terminal
      sweetspot benchmark endpoint --url http://localhost:8080 --report endpoint.html
      sweetspot benchmark endpoint --url http://localhost:8080 --batch 16 --rate 5
      sweetspot benchmark endpoint --url http://localhost:8080 --batch 32 --interactive-rate 4
      sweetspot benchmark endpoint --endpoint-name clip --urls urls.txt --latency-target-ms 500
      sweetspot benchmark endpoint --endpoint-name clip --inline --json > before.json
      sweetspot benchmark endpoint --endpoint-name clip --inline --compare before.json
    """
    from serve.benchmark.endpoint import run
    from serve.benchmark.record import Asked

    raise SystemExit(run(Asked(**asked)))


COMMANDS = (serve, embed, benchmark, settings)
