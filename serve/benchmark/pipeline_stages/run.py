"""`sweetspot benchmark pipeline`: measure from URLs to embeddings in this process."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import click
from rich.console import Console

from inference.engine.engine import Engine
from inference.errors import Overloaded
from inference.loadtest.run import closed_loop
from inference.loadtest.summary import Load, Outcome
from inference.profile.machine import cores, cpu_name
from inference.tuning.threads import words
from inference.types import ImageUrl, Result
from model.encoder import Encoder
from model.errors import ModelError
from model.load import load
from model.synthetic.mixes import MIXES
from serve import plan as plans
from serve.benchmark.encoder_sizes.backend_choice import recorded_cosine
from serve.benchmark.encoder_sizes.idle_encoder import encoder_alone
from serve.benchmark.endpoint_load.grid import warm_up_s
from serve.benchmark.endpoint_load.payload import POOL, Rounds
from serve.benchmark.endpoint_load.thumbnails import served
from serve.benchmark.pipeline_stages.faster import faster_precisions
from serve.benchmark.pipeline_stages.page import pipeline_page
from serve.benchmark.pipeline_stages.record import (
    Asked,
    Found,
    RoleSpent,
    check_same,
    compare,
    document,
)
from serve.benchmark.pipeline_stages.stage_meter import StageMeter
from serve.benchmark.pipeline_stages.stages import Spent
from serve.benchmark.pipeline_stages.terminal import show, show_comparison
from serve.benchmark.report.documents import model_of, older
from serve.benchmark.report.terminal import Tell, progress, write_page
from serve.compose import engine_of, model_config
from serve.observe.console import open_console
from serve.observe.process_use import process_uses
from serve.observe.versions import versions
from serve.settings import Settings

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Bench:
    """The objects under test: an encoder, the engine around it, and the URLs it gets.

    faster: precisions that would make the encoder faster. cosine: the one int8 was recorded with.
    """

    encoder: Encoder
    plan: plans.Plan
    engine: Engine
    urls: Rounds
    deadline_s: float
    faster: Sequence[str]
    cosine: float | None


def run(settings: Settings, asked: Asked) -> int:
    """Benchmark the pipeline.

    Returns:
        The exit code: 1 when it was interrupted, when nothing was embedded, or when too much
        was lost; else 0.
    """
    console = open_console(stderr=asked.as_json)
    old = _older(asked)
    with _bench(settings, asked) as bench:
        facts = _facts(bench, asked)
        console.print(" · ".join(facts.values()), highlight=False, markup=False)
        found = _measure(bench, asked, facts)
    _write(console, found)
    lost = old is not None and _lost(console, old, found)
    return 0 if found.complete and found.load.items_ok and not lost else 1


@contextmanager
def _bench(settings: Settings, asked: Asked) -> Iterator[Bench]:
    """Draw the images, then load, plan and start the engine that `serve` would run here."""
    settings = replace(settings, allow_host=(*settings.allow_host, HOST))
    count = max(POOL, asked.batch)
    with ExitStack() as stack:
        with progress(2) as tell:
            tell(f"drawing {MIXES[asked.mix].words}")
            urls = stack.enter_context(served(count, asked.latency_ms, asked.mix))
            tell("loading the model, settling its batch size")
            encoder, plan = _load(settings)
        engine = stack.enter_context(engine_of(settings, encoder, plan))
        faster = faster_precisions(model_config(settings), encoder.spec)
        cosine = recorded_cosine(settings.model, encoder.spec)
        deadline_s = settings.deadline_ms / 1000
        yield Bench(encoder, plan, engine, Rounds(urls), deadline_s, faster, cosine)


def _load(settings: Settings) -> tuple[Encoder, plans.Plan]:
    try:
        encoder = load(model_config(settings))
        return encoder, plans.plan(settings, encoder)
    except ModelError as exc:
        raise click.ClickException(str(exc)) from exc


def _facts(bench: Bench, asked: Asked) -> dict[str, str]:
    spec, plan, mix = bench.encoder.spec, bench.plan, MIXES[asked.mix]
    different = min(bench.urls.size, mix.most)
    return {
        "model": f"{spec.name}, {spec.image_size} px, {spec.dimension} dimensions",
        "run": f"{spec.backend} on {spec.device} in {spec.precision}",
        "plan": f"batches of {plan.image.batch_size}, {words(plan.threads)}",
        "machine": f"{cpu_name()}, {cores()} cores",
        "images": f"{different} {mix.words}, each after {asked.latency_ms:g} ms",
        "load": f"{asked.concurrency} requests of {asked.batch} at once",
    }


def _measure(bench: Bench, asked: Asked, facts: dict[str, str]) -> Found:
    """Measure the encoder alone, the pipeline, and the encoder again, since machines drift."""
    after: list[float] = []
    with progress(3) as tell:
        tell("the encoder alone")
        before = _alone(bench)
        measured, spent, processes = _pipeline(bench, asked, tell)
        try:
            if measured.complete:
                tell("the encoder alone, again")
                after = _alone(bench)
        except KeyboardInterrupt:
            after = []
    return Found(
        asked=asked,
        facts=facts,
        plan=bench.plan,
        on_cpu=bench.encoder.spec.device == "cpu",
        load=measured,
        spent=spent,
        processes=processes,
        before=before,
        after=after,
        complete=bool(after),
        versions=versions(("sweetspot", "urllib3")) | plans.versions(),
        faster=bench.faster,
        model=model_of(bench.encoder.spec, bench.cosine),
    )


def _alone(bench: Bench) -> list[float]:
    plan = bench.plan
    return encoder_alone(bench.encoder, plan.image.batch_size, plan.threads.streams)


def _pipeline(bench: Bench, asked: Asked, tell: Tell) -> tuple[Load, Spent, list[RoleSpent]]:
    """Put load on the pipeline. Returns the load, the time of each stage, and of each process."""
    warm_up = warm_up_s(asked.duration_s)
    meter = StageMeter(lambda: bench.engine.report("image"), warm_up)

    def ask() -> Outcome:
        counts = meter.begin()
        results, retried = _embed(bench, asked.batch)
        outcome = meter.end(results, counts=counts)
        tell(f"the pipeline, {meter.seen} images so far", steps=0)
        return replace(outcome, retried=retried)

    tell("the pipeline")
    before = process_uses(bench.engine)
    load = closed_loop(ask, asked.concurrency, asked.duration_s, warm_up)
    processes = RoleSpent.between(before, process_uses(bench.engine), meter.seen)
    return load, meter.spent(), processes


def _embed(bench: Bench, count: int) -> tuple[Sequence[Result], int]:
    """Embed the next images. Returns their results, and the number of refusals before."""
    items = [ImageUrl(url) for url in bench.urls.take(count)]
    for refused in itertools.count():
        try:
            deadline_s = time.monotonic() + bench.deadline_s
            return bench.engine.embed(items, deadline_s, lane="bulk").results, refused
        except Overloaded as exc:
            time.sleep(exc.retry_after_s)
    raise AssertionError("counting has no end")


def _write(console: Console, found: Found) -> None:
    show(console, found)
    if found.asked.as_json:
        click.echo(json.dumps(document(found), indent=2))
    if found.asked.report:
        write_page(console, found.asked.report, pipeline_page(found))


def _older(asked: Asked) -> dict[str, Any] | None:
    """Read the older document before anything is measured. Raises ClickException."""
    if asked.compare is None:
        return None
    old = older(asked.compare, "pipeline")
    with _named(asked.compare):
        check_same(old, asked)
    return old


def _lost(console: Console, old: dict[str, Any], found: Found) -> bool:
    """Compare. Returns whether more than `max_loss` was lost."""
    with _named(str(found.asked.compare)):
        rows, ratio = compare(old, found)
    return show_comparison(console, rows, ratio, found.asked.max_loss)


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Name the older file in a comparison's error."""
    try:
        yield
    except ValueError as exc:
        raise click.ClickException(f"cannot compare with {path}: {exc}") from exc
