"""The commands `benchmark ...`. Light to import: `--help` loads nothing that measures."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import click

from serve import settings as declared
from serve.options import SHARE, FiniteRange, Writable, load_settings, with_settings

MIXES = ("thumbnails", "small", "photos", "png", "mixed")
ENCODER_ONLY = (
    "model", "device", "backend", "precision", "preprocess", "latency_target_ms",
    "interactive_wait_ms",
)  # fmt: skip

# The settings of `serve` that apply to the pipeline.
PIPELINE_ONLY = (
    *ENCODER_ONLY, "batch_size", "text_batch_size", "profile", "decode_threads", "io_threads",
    "deadline_ms", "connect_timeout_ms", "fetch_timeout_ms",
)  # fmt: skip


def _only(names: Collection[str]) -> list[str]:
    """Return the names of all settings except these."""
    return [one.name for one in declared.fields() if one.name not in names]


@click.group()
def benchmark() -> None:
    """Measure the encoder, the pipeline, or a running endpoint."""


@benchmark.command("encoder")
@click.option("--json", "as_json", is_flag=True, help="print the profile as JSON")
@click.option("--exhaustive", is_flag=True, help="also measure every image batch from 1 to 64")
@click.option("--all", "every", is_flag=True, help="every back end and precision that runs here")
@click.option("--report", type=Writable(dir_okay=False), help="write an HTML page with charts")
@click.option("--write-profile", type=click.Path(file_okay=False), help="folder of sweetspot.json")
@click.option("--compare", type=click.Path(exists=True, dir_okay=False), help="an older profile")
@click.option("--max-loss", type=SHARE, default=0.1, show_default=True, help="allowed loss")
@with_settings(without=_only(ENCODER_ONLY))
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
    """Measure both towers of the encoder that `serve` would run here.

    \b
    Examples:
      sweetspot benchmark encoder --report encoder.html
      sweetspot benchmark encoder --model ./checkpoint --write-profile ./checkpoint
      sweetspot benchmark encoder --latency-target-ms 50
      sweetspot benchmark encoder --compare ./checkpoint/sweetspot.json
    """
    settings, _ = load_settings(flags)
    from serve.benchmark.encoder_sizes.run import Asked, run

    asked = Asked(as_json, exhaustive, every, report, write_profile, compare, max_loss)
    raise SystemExit(run(settings, asked))


def _numbers(context: Any, option: Any, value: str) -> tuple[int, ...]:  # noqa: ARG001
    """Parse comma-separated whole numbers from 1; drop duplicates."""
    parts = [part.strip() for part in value.split(",")]
    for part in parts:
        if not (part.isascii() and part.isdigit() and int(part) > 0):
            raise click.BadParameter(f"{part!r} is not a whole number from 1")
    return tuple(dict.fromkeys(map(int, parts)))


ABOVE_0 = FiniteRange(min=0, min_open=True)


def with_output(what: str) -> Callable[[Any], Any]:
    """Add the output options to a command. what: the subject that `--max-loss` compares."""
    options = (
        click.option("--json", "as_json", is_flag=True, help="print one JSON document"),
        click.option("--report", type=Writable(dir_okay=False), help="write an HTML page"),
        click.option(
            "--compare", type=click.Path(exists=True, dir_okay=False), help="an older document"
        ),
        click.option(
            "--max-loss", type=SHARE, default=0.1, show_default=True,
            help=f"share of throughput that {what} may lose against it",
        ),
    )  # fmt: skip

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


LATENCY = click.option(
    "--latency-ms", type=FiniteRange(min=0), default=20.0, show_default=True,
    help="latency of the local server whose URLs are sent",
)  # fmt: skip


@benchmark.command("pipeline")
@click.option("--mix", type=click.Choice(MIXES), default="thumbnails", show_default=True,
              help="images sent: screens of 400-1600 px, screens of 256-400 px, photos of "
              "1600-4000 px, whole screenshots, a mix of sizes and formats")  # fmt: skip
@LATENCY
@click.option("--batch", type=click.IntRange(min=1), default=64, show_default=True,
              help="images in a request")  # fmt: skip
@click.option("--concurrency", type=click.IntRange(min=1), default=4, show_default=True,
              help="requests at once; each caller repeats requests")  # fmt: skip
@click.option("--duration-s", type=ABOVE_0, default=10.0, show_default=True,
              help="duration of the load, after a warm-up")  # fmt: skip
@with_output("the pipeline")
@with_settings(without=_only(PIPELINE_ONLY))
def benchmark_pipeline(**given: Any) -> None:
    """Measure from URLs to embeddings, and name the bottleneck.

    Measures the configuration that `serve` would run here.

    \b
    Examples:
      sweetspot benchmark pipeline --report pipeline.html
      sweetspot benchmark pipeline --mix photos --decode-threads 4
      sweetspot benchmark pipeline --latency-ms 200 --io-threads 64
      sweetspot benchmark pipeline --json > before.json
      sweetspot benchmark pipeline --compare before.json
    """
    flags = {name: given.pop(name) for name in PIPELINE_ONLY}
    settings, _ = load_settings(flags)
    from serve.benchmark.pipeline_stages.record import Asked
    from serve.benchmark.pipeline_stages.run import run

    raise SystemExit(run(settings, Asked(**given)))


@benchmark.command("endpoint")
@click.option("--url", help="URL of the endpoint, for example http://localhost:8080")
@click.option("--endpoint-name", help="name of a SageMaker endpoint, called through boto3")
@click.option("--urls", type=click.Path(exists=True, dir_okay=False), help="file: one URL a line")
@click.option("--inline", is_flag=True, help="send thumbnails in the body, not URLs of them")
@LATENCY
@click.option("--batch", callback=_numbers, default="1,4,16,64", show_default=True,
              metavar="N,...", help="images in a request")  # fmt: skip
@click.option("--concurrency", callback=_numbers, default="1,4,16", show_default=True,
              metavar="N,...", help="requests at once; callers repeat requests")  # fmt: skip
@click.option("--rate", type=ABOVE_0, help="open loop: requests a second, at random times")
@click.option("--duration-s", type=ABOVE_0, default=5.0, show_default=True,
              help="duration of each combination, after a warm-up")  # fmt: skip
@click.option("--interactive-rate", type=ABOVE_0,
              help="also measure this many texts and this many screenshots a second beside "
              "bulk requests of the first --batch and --concurrency")  # fmt: skip
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True,
              help="turns of bulk with and without single requests")  # fmt: skip
@click.option("--latency-target-ms", type=ABOVE_0,
              help="recommend only combinations that keep this p95 of a request")  # fmt: skip
@with_output("the best combination")
def benchmark_endpoint(**asked: Any) -> None:
    """Put load on a running endpoint, and recommend how to call it.

    Recommends the number of images a request and of requests at once.

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
    from serve.benchmark.endpoint_load.record import Asked
    from serve.benchmark.endpoint_load.run import run

    raise SystemExit(run(Asked(**asked)))
