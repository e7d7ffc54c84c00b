"""`sweetspot benchmark encoder`: measure, explain, show, keep."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inference.machine import cores, cpu_name
from inference.profile import Profile, ProfileError, document, find, write
from inference.threads import plain
from inference.tune import TuneConfig, Tuned, image_runner, interleaved, text_runner, tune
from model.encoder import Encoder
from model.errors import ModelError
from model.load import load
from serve.benchmark.chart import Mark, Series, chart
from serve.benchmark.page import equation, page, warning
from serve.plan import match_of, tower_profile, versions
from serve.service import model_config
from serve.settings import Settings

EXHAUSTIVE_SIZES = tuple(range(1, 65))
EXHAUSTIVE_ROUNDS = 15
BAR_CHARS = 28


@dataclass(frozen=True)
class Asked:
    """The command's own options. max_loss: of throughput against `compare`, 0..1."""

    as_json: bool = False
    exhaustive: bool = False
    report: str | None = None
    write_profile: str | None = None
    compare: str | None = None
    max_loss: float = 0.1


def run(settings: Settings, asked: Asked) -> int:
    """Benchmark both towers. Returns the exit code: 1 when something was lost, else 0."""
    console = Console(stderr=asked.as_json)
    try:
        encoder = load(model_config(settings))
    except ModelError as exc:
        raise click.ClickException(str(exc)) from exc
    facts = _facts(encoder)
    console.print(" · ".join(facts.values()), highlight=False)
    towers, compared = _measure(encoder, settings, asked, console)
    profile = _profile(settings, encoder, towers)
    if profile is None:
        console.print("[yellow]interrupted before both towers were measured: no profile[/]")
        return 1
    if asked.as_json:
        click.echo(json.dumps(document([profile]) | compared, indent=2))
    if asked.report:
        Path(asked.report).write_text(page("Sweetspot: encoder", facts, towers), encoding="utf-8")
        console.print(f"report: {asked.report}")
    if asked.write_profile:
        _write(console, Path(asked.write_profile), profile, towers)
    return _compare(console, asked, profile) if asked.compare else 0


def _measure(
    encoder: Encoder, settings: Settings, asked: Asked, console: Console
) -> tuple[dict[str, Tuned], dict[str, Any]]:
    """Tune tower by tower, each shown at once, until done or interrupted."""
    config = TuneConfig(latency_target_ms=settings.latency_target_ms)
    towers: dict[str, Tuned] = {}
    compared: dict[str, Any] = {}
    try:
        for name, runner in (("image", image_runner(encoder)), ("text", text_runner(encoder))):
            with _telling(console, f"{name} tower") as report:
                tuned = towers[name] = tune(runner, config, report)
            _show(console, name, tuned)
            if not tuned.complete:
                break
            if asked.exhaustive and name == "image":
                with _telling(console, "every size") as report:
                    compared["exhaustive"] = _exhaustive(runner, tuned, config, report)
                console.print(f"exhaustive: {compared['exhaustive']}")
    except KeyboardInterrupt:
        console.print("[yellow]interrupted[/]")
    return towers, compared


@contextmanager
def _telling(console: Console, what: str) -> Iterator[Callable[[str], None]]:
    """A live line on a terminal; silence elsewhere."""
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(what) as status:
        yield lambda words: status.update(f"{what}: {words}")


def _exhaustive(
    run_batch: Callable[[int], None],
    tuned: Tuned,
    config: TuneConfig,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Measure every size, then the best of them against the choice, interleaved."""
    every = replace(config, sizes=EXHAUSTIVE_SIZES, refine=False, min_rounds=3, max_rounds=3)
    found = tune(run_batch, replace(every, budget_s=600.0), report)
    if not found.complete:
        raise KeyboardInterrupt
    medians = {n: statistics.median(times) for n, times in found.samples_ms.items()}
    best = max(medians, key=lambda n: n / medians[n])
    chosen = tuned.spot.batch_size
    times_ms = interleaved(run_batch, [best, chosen], EXHAUSTIVE_ROUNDS)
    speed = {n: 1000 * n / statistics.median(times_ms[n]) for n in (best, chosen)}
    return {
        "best": best,
        "chosen": chosen,
        "best_items_s": round(speed[best], 2),
        "chosen_items_s": round(speed[chosen], 2),
        "ratio": round(speed[chosen] / speed[best], 4),
        "rounds": EXHAUSTIVE_ROUNDS,
    }


def _facts(encoder: Encoder) -> dict[str, str]:
    spec = encoder.spec
    return {
        "model": f"{spec.name}, {spec.image_size} px, {spec.dimension} dimensions",
        "run": f"{spec.backend} on {spec.device} in {spec.precision}",
        "machine": f"{cpu_name()}, {cores()} cores",
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }


def _show(console: Console, name: str, tuned: Tuned) -> None:
    """A table with a bar for the throughput of each size, and the verdict below."""
    table = Table(title=f"{name} tower", box=None, title_justify="left", pad_edge=False)
    for column in ("batch", "p50 ms", "p95 ms", "items/s", "slope"):
        table.add_column(column, justify="right")
    table.add_column("throughput")
    best = max(point.n / point.p50_ms for point in tuned.curve.points)
    for point in tuned.curve.points:
        chosen = point.n == tuned.spot.batch_size
        bar = "█" * round(BAR_CHARS * point.n / point.p50_ms / best)
        cells = (point.p50_ms, point.p95_ms, 1000 * point.n / point.p50_ms)
        table.add_row(
            str(point.n), *(f"{cell:.1f}" for cell in cells), f"{tuned.curve.slope(point.n):.2f}",
            bar + (" ← sweet spot" if chosen else ""), style="bold green" if chosen else None,
        )  # fmt: skip
    console.print()
    console.print(table)
    console.print()
    console.print(Columns(_charts(tuned), padding=(0, 3)))
    console.print(f"batches of {tuned.spot.batch_size}: {tuned.spot.sentence}", highlight=False)
    console.print(equation(tuned), highlight=False)
    if note := warning(tuned):
        console.print(f"[yellow]{note}[/]")


def _charts(tuned: Tuned) -> list[Text]:
    """Throughput and latency against batch size; side by side where the terminal is wide."""
    points = tuned.curve.points
    mark = Mark(tuned.spot.batch_size, f"sweet spot {tuned.spot.batch_size}")
    throughput = Series("items/s", [(p.n, 1000 * p.n / p.p50_ms) for p in points])
    p50 = Series("p50", [(p.n, p.p50_ms) for p in points])
    p95 = Series("p95", [(p.n, p.p95_ms) for p in points])
    return [
        chart("throughput, items/s", "batch size", [throughput], mark),
        chart("latency, ms", "batch size", [p50, p95], mark),
    ]


def _profile(settings: Settings, encoder: Encoder, towers: dict[str, Tuned]) -> Profile | None:
    if len(towers) < 2:
        return None
    return Profile(
        match=match_of(encoder.spec),
        threads=plain(cores()),
        image=tower_profile(towers["image"]),
        text=tower_profile(towers["text"]),
        versions=versions(),
        preprocess=settings.preprocess,
    )


def _write(console: Console, folder: Path, profile: Profile, towers: dict[str, Tuned]) -> None:
    doubts = [note for tuned in towers.values() if (note := warning(tuned))]
    if doubts:
        console.print(f"[yellow]no profile is written: {doubts[0]}[/]")
        return
    try:
        console.print(f"profile: {write(folder, profile)}")
    except (OSError, ProfileError) as exc:
        raise click.ClickException(f"cannot write a profile to {folder}: {exc}") from exc


def _compare(console: Console, asked: Asked, profile: Profile) -> int:
    """Throughput of each size against an older profile's; 1 when the sweet spot lost too much."""
    try:
        old = find([Path(str(asked.compare))], profile.match)
    except ProfileError as exc:
        raise click.ClickException(str(exc)) from exc
    if old is None:
        raise click.ClickException(f"{asked.compare} has no profile of this machine and model")
    lost = False
    for name, before, now in (
        ("image", old.image, profile.image),
        ("text", old.text, profile.text),
    ):
        earlier = {point.n: point for point in before.points}
        table = Table(title=f"{name} tower, throughput new / old", box=None, title_justify="left")
        for column in ("batch", "ratio", "spread old", "spread new"):
            table.add_column(column, justify="right")
        for point in now.points:
            if point.n not in earlier:
                continue
            was = earlier[point.n]
            ratio = was.p50_ms / point.p50_ms
            spreads = (f"{one.p95_ms / one.p50_ms - 1:.0%}" for one in (was, point))
            table.add_row(str(point.n), f"{ratio:.3f}", *spreads)
            lost |= point.n == before.batch_size and ratio < 1 - asked.max_loss
        console.print(table)
    if lost:
        console.print(f"[red]a sweet spot lost more than {asked.max_loss:.0%}[/]")
    return 1 if lost else 0
