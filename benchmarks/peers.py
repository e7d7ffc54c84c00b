"""URLs to embeddings over HTTP: Sweetspot compared with other containers, in one run.

    python -m benchmarks.peers [NAME ...]        some 12 minutes, the first time longer

Every container gets the same load: 4 closed-loop clients with 16 URLs a request. The URLs are
generated thumbnails of 400-1600 px (JPEG three times in four, else WebP or PNG) from a server that
answers after 20 ms. All use the same ViT-B/32 with random weights. The settings of the others are
in `benchmarks/containers/others.py`. Ours run as `sweetspot serve` with a profile beside the
checkpoint, as docs/tuning.md advises.

All containers stay up for the whole run, and one at a time gets load: a restart for every turn
would take longer than the turns, and some 1 GB each fits into memory. A container that polls while
it is idle is stopped; the processor time of idle containers and of unrelated processes is recorded.
A round measures all containers in shuffled order over the same URLs; ratios are taken within a
round. A container whose embeddings differ from transformers' own code is left out, with the reason.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import track

from benchmarks.containers.check import cosine, reference
from benchmarks.containers.fleet import CONTAINERS, all_started
from benchmarks.containers.options import asked, chosen
from benchmarks.containers.others import FLASK
from benchmarks.containers.ours import VARIANTS
from benchmarks.containers.peers_report import Round, report, show
from benchmarks.containers.prepare import model_of, stage_budget
from benchmarks.containers.running import Running
from benchmarks.containers.turn import LATENCY_MS, take_turn
from benchmarks.record import record
from serve.benchmark.endpoint_load.payload import Rounds
from serve.benchmark.endpoint_load.thumbnails import served

NAMES = (
    *("flask", "flask-threads", "litserve", "infinity", "infinity-compiled"),
    *("sweetspot-torch", "sweetspot", "sweetspot-bfloat16", "sweetspot-int8"),
)
POOL, CHECKED = 256, 8


@dataclass(frozen=True)
class Plan:
    """How long to measure. tune: whether our variants get a profile first."""

    rounds: int = 5
    duration_s: float = 9.0
    warm_up_s: float = 3.0
    tune: bool = True


QUICK = Plan(rounds=2, duration_s=4.0, warm_up_s=2.0, tune=False)


@asked
def main(names: Sequence[str], quick: bool, seed: int, fresh: bool) -> None:
    """Measure containers in one run; by default a useful selection."""
    plan = QUICK if quick else Plan()
    fleet, containers = chosen(names or NAMES, tune=plan.tune, fresh=fresh)
    with served(POOL, LATENCY_MS) as urls:
        wanted = reference(model_of(FLASK, tune=False), urls[:CHECKED])
        cosines: dict[str, float] = {}

        def check(running: Running) -> None:
            cosines[running.container.name] = cosine(running, urls[:CHECKED], wanted)

        with all_started(containers, fleet, check):
            rounds = _rounds(fleet.running, urls, plan, seed)
    ours = [name for name in cosines if name in VARIANTS]
    budgets = {name: stage_budget(CONTAINERS[name]) for name in track(ours, "stages alone")}
    result = report(rounds, cosines, budgets, fleet.left_out)
    show(result)
    if not quick:
        Console().print(str(record("peers", {"plan": vars(plan) | {"seed": seed}, **result})))


def _rounds(running: Sequence[Running], urls: Sequence[str], plan: Plan, seed: int) -> list[Round]:
    """Measure each container once a round, in another order each time."""
    dice, order = random.Random(seed), list(running)
    rounds: list[Round] = []
    for number in track(range(plan.rounds), "rounds"):
        dice.shuffle(order)
        turns = {}
        for one in order:
            pool = Rounds(urls, seed=number)
            with one.awake():
                turn = take_turn(one, running, pool, plan.duration_s, plan.warm_up_s)
            turns[one.container.name] = turn
        rounds.append(turns)
    return rounds


if __name__ == "__main__":
    main()
