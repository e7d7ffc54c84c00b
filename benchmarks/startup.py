"""Start-up time, memory and single-query latency, compared with a Flask container.

    python -m benchmarks.startup [NAME ...]        some 5 minutes, the first time longer

Containers start one at a time, in shuffled order, with nothing else running. Measured: seconds
from the start of the process to the first 200 of `/ping`; the peak of resident memory over all its
processes, then and after 64 images by URL; the latency of queries, one at a time: different texts,
the same text repeated, different screenshots (PNG, 1280 px wide). Code and weights are in the page
cache, as after a restart; this holds for the first turn too, because preparation reads them all.
ViT-B/32 with random weights, as in `benchmarks.peers`.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.containers.container import Container
from benchmarks.containers.fleet import CONTAINERS, started
from benchmarks.containers.options import asked, chosen
from benchmarks.containers.others import FLASK
from benchmarks.containers.prepare import model_of, python_of
from benchmarks.containers.running import ROOT, LeftOut, Running
from benchmarks.containers.turn import LATENCY_MS, URLS
from benchmarks.record import record
from benchmarks.service import MODEL
from inference.loadtest.summary import percentile
from model.synthetic.attributes import combinations
from model.synthetic.captions import caption
from serve.benchmark.endpoint_load.client import Body
from serve.benchmark.endpoint_load.payload import screenshots
from serve.benchmark.endpoint_load.thumbnails import served

NAMES = ("flask-threads", "sweetspot", "sweetspot-cold", "sweetspot-int8")
IMAGES = 64
SAY_RSS = """
import os
from benchmarks.containers.processes import rss_mib
print(rss_mib(os.getpid()))
"""
Numbers = dict[str, float]


@dataclass(frozen=True)
class Plan:
    """Numbers of repeats and queries. tune: whether our variants get a profile first."""

    repeats: int = 3
    texts: int = 100
    screenshots: int = 30
    warm_up: int = 10
    tune: bool = True


QUICK = Plan(repeats=1, texts=20, screenshots=5, warm_up=3, tune=False)


@asked
def main(names: Sequence[str], quick: bool, seed: int, fresh: bool) -> None:
    """Measure one container after another; by default a useful selection."""
    plan = QUICK if quick else Plan()
    fleet, containers = chosen(names or NAMES, tune=plan.tune, fresh=fresh)
    turns: dict[str, list[Numbers]] = {one.name: [] for one in containers}
    order, dice = list(containers), random.Random(seed)
    with served(IMAGES, LATENCY_MS) as urls:
        for _ in track(range(plan.repeats), "turns"):
            dice.shuffle(order)
            for one in [one for one in order if one.name not in fleet.left_out]:
                try:
                    turns[one.name].append(_turn(one, urls, plan))
                except LeftOut as exc:
                    fleet.leave_out(one.name, str(exc))
    result = _result({name: of for name, of in turns.items() if of}, fleet.left_out)
    _show(result["containers"])
    if not quick:
        Console().print(str(record("startup", {"plan": vars(plan) | {"seed": seed}, **result})))


def _turn(container: Container, urls: Sequence[str], plan: Plan) -> Numbers:
    """Start a container, measure it and stop it."""
    imports_mib = _imports_mib(container)
    with started(container) as running:
        found = {"ready_s": running.ready_s, "peak_mib_ready": running.peak_mib}
        for first in range(0, IMAGES, URLS):
            if None in running.embed(urls[first : first + URLS]):
                raise LeftOut("images failed")
        found |= {"peak_mib_64_images": running.peak_mib, "imports_mib": imports_mib}
        beyond_mib = found["peak_mib_64_images"] - imports_mib
        found["peak_beyond_imports_over_weights"] = beyond_mib / _weights_mib()
        found |= _queries(running, "text", plan.texts, _texts(), plan.warm_up)
        found |= _queries(running, "same_text", plan.texts, _same_text, plan.warm_up)
        found |= _queries(running, "screenshot", plan.screenshots, screenshots(), plan.warm_up)
    return found


def _queries(
    running: Running, name: str, count: int, take: Callable[[], Body], warm_up: int
) -> Numbers:
    """Send queries one at a time; return percentiles of their latency, ms."""
    times_ms = []
    for _ in range(warm_up + count):
        body = take()
        start_s = time.perf_counter()
        running.post(body.data, body.content_type)
        times_ms.append(1000 * (time.perf_counter() - start_s))
    measured = times_ms[warm_up:]
    return {f"{name}_p{q}_ms": percentile(measured, q) or 0.0 for q in (50, 95)}


def _texts() -> Callable[[], Body]:
    """Return a source of different texts."""
    dice = random.Random(0)
    every = iter(dice.sample(combinations(), len(combinations())))
    return lambda: Body(orjson.dumps({"texts": [caption(next(every), dice)]}))


def _same_text() -> Body:
    return Body(orjson.dumps({"texts": ["a dark login screen on a phone"]}))


def _imports_mib(container: Container) -> float:
    """Measure the resident memory of a process that has imported the container's packages."""
    command = [str(python_of(container)), "-c", f"{container.imports}{SAY_RSS}"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise LeftOut(f"it cannot import: {container.imports}")
    return float(done.stdout)


def _weights_mib() -> float:
    """Return the size of the checkpoint's float32 weights."""
    folder: Path = model_of(FLASK, tune=False)
    return sum(one.stat().st_size for one in folder.glob("*.safetensors")) / 2**20


def _result(turns: Mapping[str, Sequence[Numbers]], left_out: Mapping[str, str]) -> dict[str, Any]:
    return {
        "model": MODEL,
        "weights_mib": round(_weights_mib(), 1),
        "page_cache": "warm",
        "containers": {
            name: {
                "what": CONTAINERS[name].words,
                "median": {
                    key: round(statistics.median(one[key] for one in of), 3) for key in of[0]
                },
                "turns": [{key: round(value, 3) for key, value in one.items()} for one in of],
            }
            for name, of in turns.items()
        },
        "left_out": dict(left_out),
    }


def _show(containers: Mapping[str, Any]) -> None:
    """Print a table: a row for each number, a column for each container."""
    table = Table("median of turns", *containers)
    keys = list(next(iter(containers.values()), {"median": {}})["median"])
    for key in keys:
        table.add_row(key, *(f"{one['median'][key]:.2f}" for one in containers.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
