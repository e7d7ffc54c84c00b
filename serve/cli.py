"""All commands except `benchmark` and `deploy`. Imports little, so that `--help` is fast."""

from __future__ import annotations

import json
import socket
from typing import Any

import click

from serve import settings as declared
from serve.benchmark.commands import benchmark
from serve.commands.embed.signals import guarded
from serve.options import FiniteRange, Writable, load_settings, with_settings

BACKLOG = 2048

# Settings without effect in a command that serves no requests.
SERVER_ONLY = (
    "models",
    "host", "port", "body_timeout_ms", "max_body_bytes", "max_bodies_bytes", "max_items",
    "max_requests", "max_deadline_ms",
)  # fmt: skip
# Settings without effect in `quantize`, which runs on the CPU, in int8, without batches.
NOT_FOR_QUANTIZE = (
    "device", "backend", "precision", "batch_size", "text_batch_size", "latency_target_ms",
    "profile", "interactive_wait_ms", "decode_threads", "io_threads", "deadline_ms",
    "max_items_in_flight",
)  # fmt: skip


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
    # Listen first: the platform connects within 250 ms, and the imports take longer.
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
@click.option("-o", "--output", type=Writable(dir_okay=False), help="file to write to")
@with_settings(without=SERVER_ONLY)
def embed(
    inputs: tuple[str, ...],
    texts: tuple[str, ...],
    form: str,
    output: str | None,
    **flags: Any,
) -> None:
    """Embed files, URLs and texts without a server.

    `-` reads a list of files and URLs from standard input.

    \b
    Examples:
      sweetspot embed shots/*.png --text "dark login screen"
      sweetspot embed https://example.com/a.jpg s3://bucket/b.png --allow-bucket bucket
      find thumbnails -name '*.jpg' | sweetspot embed - --format npy -o embeddings.npy
    """
    if not inputs and not texts:
        raise click.UsageError("nothing to embed: name files, URLs, or --text")
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
    "-o", "--output", type=Writable(file_okay=False),
    help="write a whole artifact here  [default: the graphs beside the checkpoint]",
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
    "-o", "--output", required=True, type=Writable(file_okay=False),
    help="a new folder for the artifact",
)  # fmt: skip
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
@click.option("-o", "--output", required=True, type=Writable(file_okay=False), help="artifact")
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
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("setting", "value", "from", "meaning", box=None, pad_edge=False)
    for (name, value, source), one in zip(rows, declared.fields(), strict=True):
        shown = ", ".join(value) if isinstance(value, tuple) else value
        text = "-" if shown in (None, "") else str(shown)
        table.add_row(declared.flag_name(name), escape(text), source, escape(one.metadata["help"]))
    Console().print(table)


COMMANDS = (serve, embed, benchmark, check, convert, quantize, export, settings)
