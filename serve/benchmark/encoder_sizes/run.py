"""`sweetspot benchmark encoder`: measure thread plans and both towers, show and write results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from inference.profile.machine import cores, cpu_name
from inference.profile.price import Price
from inference.profile.profile import document
from inference.tuning.runners import image_runner, on_streams, text_runner
from inference.tuning.threads import candidates, choose, measure, ways, words
from inference.tuning.tune import TuneConfig, tune
from model.encoder import Encoder
from model.errors import ModelError
from model.load import load, runnable
from model.synthetic.thumbnails import sample
from serve.benchmark.encoder_sizes.backend_choice import (
    advice,
    embeddings,
    recorded_cosine,
    smallest_cosine,
)
from serve.benchmark.encoder_sizes.exhaustive import compare_with_all
from serve.benchmark.encoder_sizes.page import encoder_page
from serve.benchmark.encoder_sizes.prices import price_document
from serve.benchmark.encoder_sizes.profiles import Measured, check_kept, keep, lost_against
from serve.benchmark.encoder_sizes.terminal import (
    show_all,
    show_price,
    show_threads,
    show_tower,
    telling,
)
from serve.benchmark.report.documents import heading, model_of
from serve.benchmark.report.terminal import write_page
from serve.compose import model_config
from serve.observe.console import open_console
from serve.plan import threads_for, tower_profile, tuning_bytes, versions
from serve.settings import Settings

# The thumbnails that thread plans are measured on.
PICTURES = 16
INTERRUPTED = "interrupted: partial, only what was measured until then"


@dataclass(frozen=True)
class Asked:
    """The command's own options. max_loss: allowed loss of throughput, 0..1."""

    as_json: bool = False
    exhaustive: bool = False
    every: bool = False
    report: str | None = None
    write_profile: str | None = None
    compare: str | None = None
    max_loss: float = 0.1
    price: Price | None = None


def run(settings: Settings, asked: Asked) -> int:
    """Benchmark both towers, of one back end or of all.

    Returns:
        The exit code: 1 when it was interrupted or a sweet spot lost too much, else 0.
    """
    if asked.write_profile:
        check_kept(Path(asked.write_profile))
    console = open_console(stderr=asked.as_json)
    every: list[Measured] = []
    first = None
    complete = True
    try:
        for encoder in _encoders(settings, asked):
            found = Measured(encoder.spec, settings.preprocess, threads_for(settings, "cpu"))
            found.recorded = recorded_cosine(settings.model, encoder.spec)
            every.append(found)
            if asked.every:
                rows = embeddings(encoder)
                first = first or rows
                found.cosine = smallest_cosine(rows, first)
            _measure(encoder, settings, asked, console, found)
            encoder.close()
        if asked.every:
            show_all(console, every)
            console.print("\n".join(advice(every)), highlight=False)
    except KeyboardInterrupt:
        complete = False
        # A new Console: rich prints nothing more after an interrupt at the start of a print.
        console = open_console(stderr=asked.as_json)
        console.print(f"[yellow]{INTERRUPTED}[/]")
    lost = _write(console, asked, every, complete=complete)
    return 1 if lost or not complete else 0


def _encoders(settings: Settings, asked: Asked) -> Iterator[Encoder]:
    """Load the encoder that `serve` would run, or each one that can run here."""
    wanted = model_config(settings)
    try:
        for config in runnable(wanted) if asked.every else [wanted]:
            yield load(config)
    except ModelError as exc:
        raise click.ClickException(str(exc)) from exc


def _measure(
    encoder: Encoder, settings: Settings, asked: Asked, console: Console, found: Measured
) -> None:
    """Fill `found`, and print each part once measured. Raises KeyboardInterrupt."""
    console.print(" · ".join(_facts(found).values()), highlight=False)
    _share_cores(encoder, settings.interactive_wait_ms, console, found)
    streams = found.threads.streams
    encoder.use_threads(found.threads.encoder, streams)
    config = TuneConfig(
        latency_target_ms=settings.latency_target_ms,
        streams=streams,
        memory_bytes=tuning_bytes(found.threads),
    )
    for name, runner in (("image", image_runner(encoder)), ("text", text_runner(encoder))):
        with on_streams(runner, streams) as busy:
            with telling(console, f"{name} tower") as report:
                tuned = found.towers[name] = tune(busy, config, report)
            show_tower(console, name, tuned)
            if asked.price is not None:
                show_price(console, name, tuned, asked.price, _cores(found))
            if not tuned.complete:
                raise KeyboardInterrupt
            if asked.exhaustive and name == "image":
                with telling(console, "every size") as report:
                    found.exhaustive = compare_with_all(busy, tuned, config, report)
                console.print(found.exhaustive.sentence, highlight=False)


def _share_cores(
    encoder: Encoder, interactive_wait_ms: float, console: Console, found: Measured
) -> None:
    """Measure how encoding and decoding best share the cores, then whether processes pay."""
    pictures = [sample(seed).data for seed in range(PICTURES)]
    for plans_of in (candidates, ways):
        plans = plans_of(found.threads)
        if len(plans) > 1:
            with telling(console, "threads") as report:
                measured = measure(encoder, pictures, plans, report=report)
            found.threads = choose(measured, interactive_wait_ms)
            found.plans = [one for one in found.plans if one.threads not in plans] + measured
    show_threads(console, found)


def _cosine(found: Measured, asked: Asked) -> float | None:
    """Return the cosine to float32, recorded or measured now; None if it is neither."""
    return found.cosine if found.recorded is None and asked.every else found.recorded


def _cores(found: Measured) -> int | None:
    """Return the cores that the encoder has; None for one that runs elsewhere."""
    return cores() if found.spec.device == "cpu" else None


def _facts(found: Measured) -> dict[str, str]:
    spec = found.spec
    return {
        "model": f"{spec.name}, {spec.image_size} px, {spec.dimension} dimensions",
        "run": found.words,
        "machine": f"{cpu_name()}, {cores()} cores",
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }


def _write(console: Console, asked: Asked, every: Sequence[Measured], *, complete: bool) -> bool:
    """Write JSON, page and profiles, and compare. Returns whether too much was lost."""
    if asked.as_json:
        click.echo(json.dumps(_document(every, asked, complete=complete), indent=2))
    if asked.report and every:
        runs = [(_facts(one) | {"threads": words(one.threads)}, one.towers) for one in every]
        known = {_cores(one) for one in every}
        shared = known.pop() if len(known) == 1 else None
        said = advice(every) if complete else []
        write_page(console, asked.report, encoder_page(runs, asked.price, shared, said))
    for found in every:
        if asked.write_profile:
            keep(console, Path(asked.write_profile), found)
    if not asked.compare:
        return False
    older, whole = Path(asked.compare), [found for found in every if found.complete]
    losses = [lost_against(console, older, found, asked.max_loss) for found in whole]
    return any(losses)


def _document(every: Sequence[Measured], asked: Asked, *, complete: bool) -> dict[str, Any]:
    """Return the profiles in the form of `sweetspot.json`, and the other measurements."""
    whole = [found for found in every if found.complete]
    written = document([found.profile() for found in whole])
    written |= heading("encoder", complete=complete)
    # One for each profile, in the same order.
    written["runs"] = [
        {
            "model": model_of(found.spec, _cosine(found, asked)),
            "price": price_document(found.towers, asked.price),
        }
        for found in whole
    ]
    written["plans"] = [
        {
            "plan": words(one.threads),
            "batch_size": one.batch_size,
            "images_s": [round(rate, 2) for rate in one.images_s],
            "pair_ms": round(one.pair_ms, 2),
        }
        for found in every
        for one in found.plans
    ]
    for found in every:
        if found.exhaustive:
            written["exhaustive"] = found.exhaustive.as_dict()
        if not found.complete:
            written["partial"] = {
                name: asdict(tower_profile(tuned)) for name, tuned in found.towers.items()
            }
    return written
