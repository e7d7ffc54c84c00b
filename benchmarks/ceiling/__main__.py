"""URLs to pixels of 224 px as fast as they come: the encoder costs nothing.

    python -m benchmarks.ceiling        some 5 minutes on two cores

4 callers ask for 64 different URLs each in a closed loop, in the bulk lane; every picture takes its
server 20 ms. Mix A is `thumbnails`, mix B is `mixed` (`model/synthetic/mixes.py`). A round measures
threads and each number of preparing processes on both mixes in shuffled order, each in a fresh
process that ran until every caller has had a full answer. The callers are in the encoder's process,
as the threads of a service's requests are. The server of pictures is a process of its own, and its
cost is given apart.

From the times of an image follow, on paper, the images a second on more cores, and the cores that
feed a card (`paper.py`).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import click
from rich.console import Console
from rich.progress import track

from benchmarks.ceiling.load import CALLERS, URLS
from benchmarks.ceiling.pictures import Pictures, pictures
from benchmarks.ceiling.report import Round, report
from benchmarks.ceiling.tables import show
from benchmarks.ceiling.turn import take_turn
from benchmarks.record import record
from inference.profile.machine import cores

MIXES = {"A": "thumbnails", "B": "mixed"}
LATENCY_S = 0.02


@dataclass(frozen=True)
class Plan:
    """What and how long to measure. pool: pictures of a mix. lock_s: sampling of the lock."""

    mixes: Sequence[str] = tuple(MIXES)
    rounds: int = 3
    duration_s: float = 6.0
    lock_s: int = 3
    pool: int = 256


QUICK = Plan(mixes=("A",), rounds=1, duration_s=0.3, lock_s=1, pool=16)
QUICK_COUNTS = (0, 2)


def ways(most: int) -> list[int]:
    """Return the numbers of preparing processes: 0 (threads), 1, 2, 4, ... and `most`."""
    return [0, *(2**power for power in range(16) if 2**power < most), most]


def measure(plan: Plan, counts: Sequence[int], seed: int) -> list[Round]:
    """Measure each mix with each number of processes once a round."""
    dice = random.Random(seed)
    turns = list(itertools.product(plan.mixes, counts))
    rounds: list[Round] = []
    with ExitStack() as stack:
        served: Mapping[str, Pictures] = {
            name: stack.enter_context(pictures(MIXES[name], plan.pool, LATENCY_S))
            for name in plan.mixes
        }
        for _ in track(range(plan.rounds), "rounds"):
            dice.shuffle(turns)
            rounds.append(
                {
                    (mix, count): take_turn(count, served[mix], plan.duration_s, plan.lock_s)
                    for mix, count in turns
                }
            )
    return rounds


@click.command()
@click.option("--quick", is_flag=True, help="A short trial run; records nothing.")
@click.option("--seed", default=0, help="Seed of the shuffled order.")
def main(quick: bool, seed: int) -> None:
    """Measure, print tables and record the result."""
    plan = QUICK if quick else Plan()
    counts = QUICK_COUNTS if quick else ways(max(2, cores()))
    result = report(measure(plan, counts, seed))
    show(result)
    if not quick:
        load = {"callers": CALLERS, "urls": URLS, "latency_s": LATENCY_S, "seed": seed}
        setting = load | vars(plan) | {"mixes": MIXES}
        Console().print(str(record("ceiling", {"setting": setting, **result})))


if __name__ == "__main__":
    main()
