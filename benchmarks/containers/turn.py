"""Load on one container, and its cost in processor time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.containers.processes import cpu_s, machine_cpu_s
from benchmarks.containers.running import Running
from inference.loadtest.run import closed_loop
from inference.loadtest.summary import Load, Outcome
from serve.benchmark.endpoint_load.payload import Rounds

CLIENTS, URLS, LATENCY_MS = 4, 16, 20.0


@dataclass(frozen=True)
class Turn:
    """core_ms: processor time an image, of the container's processes.

    load_core_ms: the same of the clients and the thumbnail server, which share the cores.
    idle_cores: used by the containers without load. foreign_cores: used by unrelated processes;
    far from 0, the results are unreliable.
    """

    load: Load
    core_ms: float
    load_core_ms: float
    idle_cores: float
    foreign_cores: float


def take_turn(
    running: Running,
    everybody: Sequence[Running],
    urls: Rounds,
    duration_s: float,
    warm_up_s: float,
) -> Turn:
    """Run a closed loop. The warm-up counts for core time an image, not for speed and latency."""
    images, lock = 0, threading.Lock()

    def ask() -> Outcome:
        nonlocal images
        found = running.embed(urls.take(URLS))
        with lock:
            images += len(found)
        failed = found.count(None)
        return Outcome(len(found) - failed, {"item": failed} if failed else {})

    before = _Clocks.read(running, everybody)
    load = closed_loop(ask, CLIENTS, duration_s, warm_up_s)
    spent = _Clocks.read(running, everybody).since(before)
    images = max(images, 1)
    return Turn(
        load=load,
        core_ms=1000 * spent.container_s / images,
        load_core_ms=1000 * (spent.own_s - spent.containers_s) / images,
        idle_cores=(spent.containers_s - spent.container_s) / spent.wall_s,
        foreign_cores=max(0.0, spent.machine_s - spent.own_s) / spent.wall_s,
    )


class _Clocks(NamedTuple):
    """Wall time; processor time of one container, all, this process tree, the machine."""

    wall_s: float
    container_s: float
    containers_s: float
    own_s: float
    machine_s: float

    @classmethod
    def read(cls, running: Running, everybody: Sequence[Running]) -> _Clocks:
        return cls(
            time.perf_counter(),
            running.cpu_s,
            cpu_s(*(one.process.pid for one in everybody)),
            cpu_s(os.getpid()),
            machine_cpu_s(),
        )

    def since(self, before: _Clocks) -> _Clocks:
        return _Clocks(*(now - then for now, then in zip(self, before, strict=True)))
