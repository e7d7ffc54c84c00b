"""All commands except `benchmark` and `deploy`. Imports little, so that `--help` is fast."""

from __future__ import annotations

import json
import os
import socket
from errno import EADDRINUSE
from importlib.util import find_spec
from typing import Any

import click

from model.errors import install
from serve import settings as declared
from serve.benchmark.commands import benchmark
from serve.commands.bulk.command import bulk
from serve.commands.embed.chosen_form import FORMS, chosen_form
from serve.commands.signals import guarded
from serve.commands.train.command import train
from serve.options import (
    SERVER_ONLY,
    FiniteRange,
    NewFolder,
    Writable,
    load_settings,
    with_settings,
)

BACKLOG = 2048

# What the packages of the extra `serve` are imported as.
OF_THE_SERVICE = (
    "cachetools", "certifi", "flask", "google", "gunicorn", "idna", "numpy", "openvino", "orjson",
    "PIL", "plotext", "prometheus_client", "pythonjsonlogger", "requests", "safetensors",
    "sentencepiece", "tokenizers", "torch", "transformers",
)  # fmt: skip

# Of these, what `serve` needs with every back end and checkpoint.
OF_EVERY_SERVICE = ("numpy", "flask", "gunicorn", "orjson", "PIL")

# Settings without effect in `quantize`, which runs on the CPU, in int8, without batches.
NOT_FOR_QUANTIZE = (
    "device", "backend", "precision", "batch_size", "text_batch_size", "latency_target_ms",
    "profile", "interactive_wait_ms", "decode_threads", "io_threads", "deadline_ms",
    "max_items_in_flight",
)  # fmt: skip


class Commands(click.Group):
    """Says in one line how to install what a command needs, where the client alone is installed."""

    def invoke(self, ctx: click.Context) -> Any:
        """See click."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as exc:
            package = (exc.name or "").partition(".")[0]
            if package not in OF_THE_SERVICE:
                raise
            raise _missing(package) from exc


def _missing(package: str) -> click.ClickException:
    return click.ClickException(f"this needs {package}: {install('serve')}")


@click.command()
@with_settings()
def serve(**flags: Any) -> None:
    """Serve /ping and /invocations until SIGTERM.

    \b
    Examples:
      sweetspot serve
      sweetspot serve --model openai/clip-vit-large-patch14 --port 8080
      sweetspot serve --model ./checkpoint --allow-host 127.0.0.1 --allow-bucket thumbnails
      sweetspot serve --models designs=./designs,components=./components
    """
    settings, _ = load_settings(flags)
    if settings.otel and not _has("opentelemetry.exporter.otlp.proto.http"):
        raise click.ClickException(f"--otel needs OpenTelemetry: {install('otel')}")
    for package in OF_EVERY_SERVICE:
        if not _has(package):
            raise _missing(package)
    # Then listen: the platform connects within 250 ms, and the imports take longer.
    listener = _listen(settings.host, settings.port)
    from model.errors import CheckpointError
    from model.load import precheck
    from serve.compose import model_config
    from serve.http.server import Server
    from serve.observe.telemetry import configure_logging

    configure_logging()
    try:
        # With several models, one bad checkpoint must not stop the others.
        several = settings.models or settings.multi_model
        if settings.backend != "fake" and not several:
            precheck(model_config(settings))
    except CheckpointError as exc:
        raise click.ClickException(str(exc)) from exc
    Server(settings, listener).run()


def _has(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # not even the package around it
        return False


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as exc:
        reason = exc.strerror
        if exc.errno == EADDRINUSE:
            reason = f"{os.strerror(EADDRINUSE)}; --port chooses another"
        raise click.ClickException(f"cannot listen on {host}:{port}: {reason}") from exc


@click.command()
@click.argument("inputs", nargs=-1)
@click.option("--text", "texts", multiple=True, help="a text to embed; may be repeated")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    help="how to write the embeddings  [default: as the suffix of the output; else a table]",
)
@click.option(
    "-o", "--output", type=Writable(dir_okay=False), help="file to write to, .jsonl or .npy"
)
@with_settings(without=SERVER_ONLY)
def embed(
    inputs: tuple[str, ...],
    texts: tuple[str, ...],
    form: str | None,
    output: str | None,
    **flags: Any,
) -> None:
    """Embed files, folders, URLs and texts without a server.

    `-` reads a list of them from standard input. Of a folder, all files are embedded that are not
    hidden, with those of its folders.

    \b
    Examples:
      sweetspot embed shots/*.png --text "dark login screen"
      sweetspot embed https://example.com/a.jpg s3://bucket/b.png --allow-bucket bucket
      sweetspot embed thumbnails -o embeddings.npy
      find thumbnails -name '*.jpg' | sweetspot embed - -o embeddings.jsonl
    """
    if not inputs and not texts:
        raise click.UsageError("nothing to embed: name files, folders, URLs, or --text")
    form = chosen_form(form, output)
    with guarded():
        settings, _ = load_settings(flags)
        from serve.commands.embed.command import Asked, run

        code = run(settings, Asked(inputs, texts, form, output))
    raise SystemExit(code)


@click.command()
@click.option("--model", help="checkpoint: a folder, a hub id, or builtin")
@click.option("--images", "count", type=click.IntRange(16, 2000), default=64, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def check(model: str | None, count: int, *, as_json: bool) -> None:
    """Compare embeddings with those of transformers.

    Tests every back end and precision that runs here. Exits with 1 if one is below its floors.

    \b
    Examples:
      sweetspot check
      sweetspot check --model ./checkpoint --images 200 --json
    """
    settings, _ = load_settings({"model": model})
    from serve.commands.check import run

    raise SystemExit(run(settings, count, as_json=as_json))


@click.command()
@click.option("--model", help="checkpoint: a folder, a hub id, or builtin")
@click.option(
    "-o", "--output", type=NewFolder(),
    help="write a whole artifact into this new folder  [default: the graphs beside the checkpoint]",
)  # fmt: skip
def export(model: str | None, output: str | None) -> None:
    """Save the graphs of a checkpoint, for quick starts.

    A service that finds the graphs needs no transformers and no conversion at its start.

    \b
    Examples:
      sweetspot export --model ./checkpoint
      sweetspot export --model openai/clip-vit-base-patch32 -o ./artifact
    """
    settings, _ = load_settings({"model": model})
    from serve.commands.export import run

    raise SystemExit(run(settings.model, output))


@click.command()
@click.argument("source", metavar="FROM")
@click.option(
    "-o", "--output", required=True, type=NewFolder(), help="a new folder for the artifact"
)
@click.option("--base", help="what an adapter belongs to  [default: as it says]")
def convert(source: str, output: str, base: str | None) -> None:
    """Convert a checkpoint of another layout to one that is served.

    FROM is a folder, a file, a hub id or openclip:MODEL/TAG: of transformers with pickles,
    sentence-transformers, a LoRA adapter of PEFT, OpenAI's .pt, or open_clip. Pickles are read
    for their tensors alone, and run nothing. The result is compared with its source; one that
    differs is not kept.

    \b
    Examples:
      sweetspot convert ./pickled -o ./checkpoint
      sweetspot convert ./adapter --base openai/clip-vit-base-patch32 -o ./checkpoint
      sweetspot convert ViT-B-32.pt -o ./checkpoint
      sweetspot convert openclip:ViT-H-14/laion2b_s32b_b79k -o ./checkpoint
    """
    from serve.commands.convert import run

    raise SystemExit(run(source, output, base))


@click.command()
@click.option(
    "-o", "--output", required=True, type=NewFolder(), help="a new folder for the artifact"
)
@click.option(
    "--thumbnails",
    type=click.Path(exists=True),
    help="a folder, or a file that lists URLs and paths  [default: generated ones]",
)
@click.option(
    "--texts", type=click.Path(exists=True, dir_okay=False),
    help="a file of texts, one per line  [default: generated ones]",
)  # fmt: skip
@click.option("--min-cosine", type=FiniteRange(0, 0.9999), default=0.99, show_default=True)
@click.option("--min-overlap", type=FiniteRange(0, 0.9999), default=0.9, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="print the fidelity report as JSON")
@with_settings(without=(*SERVER_ONLY, *NOT_FOR_QUANTIZE))
def quantize(
    output: str,
    thumbnails: str | None,
    texts: str | None,
    min_cosine: float,
    min_overlap: float,
    *,
    as_json: bool,
    **flags: Any,
) -> None:
    """Make int8 graphs of a checkpoint, and check their fidelity.

    Calibrates on two thirds of your thumbnails and texts, and tests on the rest. The test compares
    the first percentile of cosines to float32, and the share of the ten nearest neighbours that
    stay, with the floors. Layers that harm them stay in float32. Below a floor, writes nothing.

    \b
    Examples:
      sweetspot quantize --model ./checkpoint --thumbnails ./shots -o ./checkpoint-int8
      sweetspot quantize --model ./checkpoint --thumbnails urls.txt --texts queries.txt -o ./int8
    """
    settings, _ = load_settings(flags)
    from serve.commands.quantize import Asked, run

    asked = Asked(output, thumbnails, texts, min_cosine, min_overlap, as_json)
    raise SystemExit(run(settings, asked))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="print JSON")
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
    from rich.markup import escape
    from rich.table import Table

    from serve.observe.console import open_console

    table = Table("setting", "value", "from", "meaning", box=None, pad_edge=False)
    for (name, value, source), one in zip(rows, declared.fields(), strict=True):
        shown = ", ".join(value) if isinstance(value, tuple) else value
        text = "-" if shown in (None, "") else str(shown)
        table.add_row(declared.flag_name(name), escape(text), source, escape(one.metadata["help"]))
    open_console().print(table)


COMMANDS = (serve, embed, bulk, train, benchmark, check, convert, quantize, export, settings)
