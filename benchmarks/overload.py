"""Overload with four times more clients than places: refusals, throughput and pings.

    python -m benchmarks.overload [--quick]        some 10 minutes

ViT-B/32 on its default back end, 4 generated thumbnails a request from a server that takes 20 ms.
`peak`: just enough clients to keep the encoder busy. `overload`: 256 closed-loop clients, which
wait as long as a refusal says, beside 300 idle connections and 100 half-sent bodies. Half of the
bodies are small; the others are so large that a thread reads them. Connections that the service
closes are opened again. One service; the rounds alternate. All clients share one thread of a
process of their own; another process sends 20 pings a second.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks.containers.processes import cpu_s, machine_cpu_s
from benchmarks.crowd import clients, pings
from benchmarks.record import record
from benchmarks.service import MODEL, tuned_checkpoint
from inference.loadtest.summary import percentile
from serve.benchmark.endpoint_load.thumbnails import served
from tests.checkpoints import make_checkpoint
from tests.e2e.service import started

POOL, LATENCY_MS, ITEMS, PINGS_PER_S = 256, 20.0, 4, 20.0
START_TIMEOUT_S = 300
LOADS = {"peak": (16, 0, 0), "overload": (256, 300, 100)}  # clients, idle, half-sent bodies


@dataclass(frozen=True)
class Times:
    """Durations. warm_up_s: longer than a request takes when all places are taken."""

    rounds: int = 3
    warm_up_s: float = 25.0
    duration_s: float = 60.0


QUICK = Times(rounds=1, warm_up_s=15.0, duration_s=20.0)
QUICK_BATCH = ("--batch-size", "16", "--text-batch-size", "16")
Round = dict[str, Any]


def measure(load: str, service: Any, urls: list[str], times: Times) -> Round:
    """Run one round; return the results of clients and pings, and the use of the cores."""
    count, idle, half_sent = LOADS[load]
    port, span = service.port, (times.warm_up_s, times.duration_s)
    crowd = _start(clients, clients.Plan(port, urls, ITEMS, count, *span, idle, half_sent))
    prober = _start(pings, pings.Plan(port, PINGS_PER_S, *span))
    time.sleep(times.warm_up_s)
    cores = _Cores(service.process.pid)
    time.sleep(times.duration_s)
    return {**cores.taken(), **_result(crowd), "pings": _result(prober)}


def shown(rounds: Sequence[Round], times: Times) -> dict[str, Any]:
    """Summarise the rounds of one load.

    images_s: by round, of admitted requests. core_ms: of the service, per image of those; it
    includes the cost of refusals.
    """
    return {
        "images_s": [round(one["items"] / times.duration_s, 2) for one in rounds],
        "core_ms": [round(1000 * one["service_s"] / max(one["items"], 1), 1) for one in rounds],
        "answered": sum(one["answered"] for one in rounds),
        "failed_items": sum(one["failed"] for one in rounds),
        "errors": _added(one["errors"] for one in rounds),
        "answer_ms": _spread(rounds, "answer_ms"),
        "refused": sum(one["refused"] for one in rounds),
        "refusal_ms": _spread(rounds, "refusal_ms"),
        "retry_after_ms": _spread(rounds, "retry_after_ms"),
        "ping_ms": _spread([one["pings"] for one in rounds], "took_ms"),
        "pings_not_200": _added(one["pings"]["others"] for one in rounds),
        "reopened": sum(one["reopened"] for one in rounds),
        "clients_cpu_share": [one["cpu_share"] for one in rounds],
        "foreign_cores": [one["foreign_cores"] for one in rounds],
    }


@click.command()
@click.option("--quick", is_flag=True, help="a short trial run; records nothing")
def main(quick: bool) -> None:
    times = QUICK if quick else Times()
    rounds: dict[str, list[Round]] = {load: [] for load in LOADS}
    with tempfile.TemporaryDirectory() as name, served(POOL, LATENCY_MS) as urls:
        options = _options(Path(name), quick=quick)
        with started(Path(name), *options, ready=False) as service:
            service.wait_until_ready(START_TIMEOUT_S)
            for turn in range(times.rounds):
                for load in list(LOADS) if turn % 2 == 0 else reversed(LOADS):
                    rounds[load].append(measure(load, service, urls, times))
                    Console().print(load, shown(rounds[load][-1:], times))
    found = {load: shown(of, times) for load, of in rounds.items()}
    medians = {load: statistics.median(one["images_s"]) for load, one in found.items()}
    ratio = round(medians["overload"] / medians["peak"], 3)
    Console().print(_table(found, medians))
    Console().print(f"throughput under overload / peak throughput: {ratio}")
    if not quick:
        plan = {"loads": LOADS, "items": ITEMS, "pings_per_s": PINGS_PER_S, **asdict(times)}
        result = {"model": MODEL, "plan": plan, **found, "ratio": ratio}
        Console().print(str(record("overload", result)))


def _options(folder: Path, *, quick: bool) -> list[str]:
    """Options for the full-size model, with its profile or with an approximate batch size."""
    if quick:
        return ["--model", str(make_checkpoint(folder / "vit-b-32", "vit-b-32")), *QUICK_BATCH]
    return ["--model", str(tuned_checkpoint(folder))]


class _Cores:
    """Use of the cores from now on. pid: of the service."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = self._read()

    def taken(self) -> dict[str, float]:
        """Return service_s, core seconds, and foreign_cores, those used by unrelated processes.

        The results are unreliable when foreign_cores is far from 0.
        """
        wall_s, machine_s, own_s, service_s = (
            now - then for now, then in zip(self._read(), self._before, strict=True)
        )
        foreign = max(0.0, (machine_s - own_s) / wall_s)
        return {"service_s": service_s, "foreign_cores": round(foreign, 2)}

    def _read(self) -> tuple[float, ...]:
        return time.perf_counter(), machine_cpu_s(), cpu_s(os.getpid()), cpu_s(self._pid)


def _start(module: Any, plan: Any) -> subprocess.Popen[str]:
    """Start a process that measures by a plan and prints its result as JSON."""
    process = subprocess.Popen(
        [sys.executable, "-m", module.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    json.dump(asdict(plan), process.stdin)
    process.stdin.close()
    return process


def _result(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout
    found: dict[str, Any] = json.loads(process.stdout.read())
    process.wait()
    return found


def _spread(rounds: Sequence[Round], key: str) -> dict[str, float | None]:
    """Return percentiles over all rounds together."""
    values = [value for one in rounds for value in one[key]]
    spread = {f"p{q}": percentile(values, q) for q in (50, 95, 99, 100)}
    return {name: None if value is None else round(value, 1) for name, value in spread.items()}


def _added(counts: Any) -> dict[str, int]:
    return dict(sum((Counter(one) for one in counts), Counter[str]()))


def _table(found: dict[str, Any], medians: dict[str, float]) -> Table:
    table = Table("load", "images/s", "refused", "refusal p50, p99 ms", "ping p50, p99 ms")
    for load, one in found.items():
        refusal, ping = one["refusal_ms"], one["ping_ms"]
        table.add_row(
            load, f"{medians[load]:.1f}", f"{one['refused']:,}",
            f"{refusal['p50']}, {refusal['p99']}", f"{ping['p50']}, {ping['p99']}",
        )  # fmt: skip
    return table


if __name__ == "__main__":
    main()
