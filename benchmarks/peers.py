"""URLs to embeddings over HTTP: ours beside what others run, in one run.

    python -m benchmarks.peers [NAME ...]        some 12 minutes, the first time longer

Every container gets the same: 4 clients, each with 16 URLs a request, in a closed loop, of
generated thumbnails of 400-1600 px (JPEG three times in four, else WebP or PNG) from a server that
answers after 20 ms; and the same ViT-B/32 of random weights. `benchmarks/containers/others.py`
says with which settings the others run. Ours run as `sweetspot serve` with a profile beside the
checkpoint, as docs/tuning.md advises.

All containers are up for the whole run, and one at a time is loaded: to start them anew for every
turn would take longer than the turns, and memory is no issue (some 1 GB each). One that polls while
it waits is stopped; what idle ones and everything else on the machine take is recorded. Rounds go
through all containers in a shuffled order, over the same URLs; ratios are taken within a round.
Before that, each must give the embeddings of transformers' own code, or is left out, with the
reason.
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
    """How long to measure. tune: whether ours get a profile before."""

    rounds: int = 5
    duration_s: float = 9.0
    warm_up_s: float = 3.0
    tune: bool = True


QUICK = Plan(rounds=2, duration_s=4.0, warm_up_s=2.0, tune=False)


@asked
def main(names: Sequence[str], quick: bool, seed: int, fresh: bool) -> None:
    """Measure containers beside each other; by default those that make sense together."""
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
    """A turn of each container a round, in another order each time."""
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
