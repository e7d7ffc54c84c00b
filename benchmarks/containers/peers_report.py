"""Results of the container benchmark: numbers to record, and tables."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.containers.fleet import CONTAINERS
from benchmarks.containers.prepare import versions_of
from benchmarks.containers.spread import Spread, ratios, spread
from benchmarks.containers.turn import CLIENTS, LATENCY_MS, URLS, Turn
from benchmarks.service import MODEL
from inference.loadtest.summary import pooled
from inference.profile.machine import cores

# Ratios are to the simplest threaded container, and to the most similar one, infinity.
BASES = ("flask-threads", "infinity", "infinity-compiled")
# The results are unreliable when unrelated processes use more cores than this.
NOISY_CORES = 0.1
# Of tables, when the output is not a terminal.
WIDTH = 110
Round = Mapping[str, Turn]


def report(
    rounds: Sequence[Round],
    cosines: Mapping[str, float],
    budgets: Mapping[str, Mapping[str, float]],
    left_out: Mapping[str, str],
) -> dict[str, Any]:
    """Return the record. cosines: of the measured containers, in the order of the table."""
    speeds = [{name: turn.load.items_per_s for name, turn in one.items()} for one in rounds]
    against = {base: ratios(speeds, base) for base in BASES if base in cosines}
    measured = {}
    for name, cosine in cosines.items():
        turns = [one[name] for one in rounds]
        measured[name] = _container(turns) | {
            "what": CONTAINERS[name].words,
            "versions": versions_of(CONTAINERS[name]),
            "cosine_to_reference": round(cosine, 5),
            "ratio_to": {base: _rounded(found[name]) for base, found in against.items()},
            "core_ms_by_stage_alone": budgets.get(name),
        }
    return {
        "load": {"model": MODEL, "clients": CLIENTS, "urls": URLS, "latency_ms": LATENCY_MS},
        "containers": measured,
        "left_out": dict(left_out),
    }


def show(result: Mapping[str, Any]) -> None:
    """Print tables, failures and warnings."""
    console, measured = Console(), result["containers"]
    if not console.is_terminal:
        console = Console(width=WIDTH)
    console.print(_speeds(measured))
    console.print(_costs(measured))
    if any(one["core_ms_by_stage_alone"] for one in measured.values()):
        console.print(_budgets(measured))
    for name, reason in result["left_out"].items():
        console.print(f"{name} is left out: {reason}", highlight=False, markup=False)
    for name, one in measured.items():
        if one["failed"]:
            console.print(f"[red]{name} failed:[/] {one['failed']}", highlight=False)
    noise = max((one["foreign_cores"] for one in measured.values()), default=0.0)
    if noise > NOISY_CORES:
        console.print(f"[red]other processes took up to {noise:.2f} cores: measure again[/]")


def _container(turns: Sequence[Turn]) -> dict[str, Any]:
    load = pooled([one.load for one in turns])

    def middle(value: Callable[[Turn], float]) -> float:
        return round(statistics.median(map(value, turns)), 3)

    core_ms, load_core_ms = middle(lambda one: one.core_ms), middle(lambda one: one.load_core_ms)
    return {
        "images_s": _rounded(spread([one.load.items_per_s for one in turns])),
        "rounds_images_s": [round(one.load.items_per_s, 2) for one in turns],
        "p50_ms": round(load.p50_ms or 0.0, 1),
        "p95_ms": round(load.p95_ms or 0.0, 1),
        "requests": load.requests,
        "failed": load.failed | load.errors,
        "core_ms": core_ms,
        "load_core_ms": load_core_ms,
        # The limit if no core were ever idle.
        "most_images_s": round(1000 * cores() / max(core_ms + load_core_ms, 1e-9), 2),
        "idle_cores": max(round(one.idle_cores, 3) for one in turns),
        "foreign_cores": max(round(one.foreign_cores, 3) for one in turns),
    }


def _rounded(found: Spread) -> dict[str, float]:
    return {name: round(value, 3) for name, value in found._asdict().items()}


def _speeds(measured: Mapping[str, Any]) -> Table:
    bases = [base for base in BASES if base in measured]
    title = f"{CLIENTS} clients x {URLS} URLs; median (min-max) of rounds"
    table = Table("container", "images/s", "p50 ms", "p95 ms", title=title)
    for base in bases:
        table.add_column(f"x {base}")
    for name, one in measured.items():
        compared = [str(Spread(**one["ratio_to"][base])) for base in bases]
        speed = f"{one['images_s']['median']:.1f}"
        times = [f"{one[key]:.0f}" for key in ("p50_ms", "p95_ms")]
        table.add_row(name, speed, *times, *compared)
    return table


def _costs(measured: Mapping[str, Any]) -> Table:
    """Make the table of processor time an image, which explains the throughput."""
    keys = ("core_ms", "load_core_ms", "most_images_s", "idle_cores", "foreign_cores")
    heads = ("core-ms an image", "... of the load", "max. images/s", "idle", "foreign cores")
    table = Table("container", *heads, title="processor time")
    for name, one in measured.items():
        table.add_row(name, *(f"{one[key]:.2f}" for key in keys))
    return table


def _budgets(measured: Mapping[str, Any]) -> Table:
    """Make the table of our stages; the rest is HTTP, passing work on, and contention."""
    budgets = {name: one["core_ms_by_stage_alone"] for name, one in measured.items()}
    ours = {name: stages for name, stages in budgets.items() if stages}
    heads = next(iter(ours.values()))
    table = Table("core-ms an image", *heads, "sum", "in the service", title="stages alone")
    for name, stages in ours.items():
        values = [*stages.values(), sum(stages.values()), measured[name]["core_ms"]]
        table.add_row(name, *(f"{value:.2f}" for value in values))
    return table
