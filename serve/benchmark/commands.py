"""The commands `benchmark ...`. Light to import: `--help` loads nothing that measures."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import click

from inference.profile.price import Price
from serve import settings as declared
from serve.options import SHARE, FiniteRange, Writable, load_settings, with_price, with_settings

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
@with_price
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
    price: Price | None,
    **flags: Any,
) -> None:
    """Measure both towers of the encoder that `serve` would run here.

    \b
    Examples:
      sweetspot benchmark encoder --report encoder.html
      sweetspot benchmark encoder --model ./checkpoint --write-profile ./checkpoint
      sweetspot benchmark encoder --latency-target-ms 50 --price-per-hour 0.25
      sweetspot benchmark encoder --compare ./checkpoint/sweetspot.json
    """
    settings, _ = load_settings(flags)
    from serve.benchmark.encoder_sizes.run import Asked, run

    asked = Asked(as_json, exhaustive, every, report, write_profile, compare, max_loss, price)
    raise SystemExit(run(settings, asked))


def _numbers(context: Any, option: Any, value: str) -> tuple[int, ...]:  # noqa: ARG001
    """Parse comma-separated whole numbers from 1; drop duplicates."""
    parts = [part.strip() for part in value.split(",")]
    for part in parts:
        if not (part.isascii() and part.isdigit() and int(part) > 0):
            raise click.BadParameter(f"{part!r} is not a whole number from 1")
    return tuple(dict.fromkeys(map(int, parts)))


def _waits(context: Any, option: Any, value: str | None) -> tuple[int, ...] | None:
    return None if value is None else _numbers(context, option, value)


# Values of --interactive-wait-ms.
WAITS = "50,100,200,400"
SWEEP_ONLY = "--query-target-ms, or options of `sweetspot serve`, is for --interactive-sweep"
SWEEP_ALONE = (
    "--interactive-sweep starts the service itself: leave out --url, --endpoint-name, --rate and "
    "--compare, and put options of `sweetspot serve` behind --"
)
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
@with_price
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
@click.option("--interactive-sweep", callback=_waits, is_flag=False, flag_value=WAITS,
              metavar="[MS,...]", help="start the service with each of these values of "
              "--interactive-wait-ms, and measure queries beside bulk  "
              f"[default: {WAITS}]")  # fmt: skip
@click.option("--query-target-ms", type=ABOVE_0,
              help="p95 that texts need: the sweep names the setting that keeps it")  # fmt: skip
@click.option("--latency-target-ms", type=ABOVE_0,
              help="recommend only combinations that keep this p95 of a request")  # fmt: skip
@with_output("the best combination")
@with_price
@click.argument("serve_options", nargs=-1, type=click.UNPROCESSED,
                metavar="[-- OPTIONS OF SERVE]")  # fmt: skip
def benchmark_endpoint(
    interactive_sweep: tuple[int, ...] | None, query_target_ms: float | None,
    serve_options: tuple[str, ...], **asked: Any,
) -> None:  # fmt: skip
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
      sweetspot benchmark endpoint --interactive-sweep --query-target-ms 120 \\
        --batch 16 --concurrency 4 --duration-s 25 -- --model ./checkpoint
    """
    from serve.benchmark.endpoint_load.record import Asked
    from serve.benchmark.endpoint_load.run import run

    load = Asked(**asked)
    if interactive_sweep is None:
        if query_target_ms is not None or serve_options:
            raise click.UsageError(SWEEP_ONLY)
        raise SystemExit(run(load))
    if load.url or load.endpoint_name or load.rate or load.compare:
        raise click.UsageError(SWEEP_ALONE)
    from serve.benchmark.query_sweep.record import Sweep
    from serve.benchmark.query_sweep.run import run as run_sweep

    raise SystemExit(run_sweep(Sweep(interactive_sweep, query_target_ms, serve_options, load)))


@benchmark.command("compare")
@click.argument("documents", nargs=-1, required=True,
                type=click.Path(exists=True, dir_okay=False), metavar="DOCUMENT...")  # fmt: skip
@click.option("--report", type=Writable(dir_okay=False), help="write an HTML page")
def benchmark_compare(documents: tuple[str, ...], report: str | None) -> None:
    """Compare what was measured, and name the best by each question.

    Documents are those of `--json`, and profiles. They may be of any benchmark, and of different
    machines, models, precisions and versions. What is not comparable is said so.

    \b
    Examples:
      sweetspot benchmark compare c6i.json c7i.json g6.json --report compare.html
    """
    from serve.benchmark.side_by_side.run import run

    run(documents, report)
