"""Check the chosen batch size: measure every size, then compare the best one with it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from inference.tuning.runners import Run, interleaved
from inference.tuning.tune import TuneConfig, Tuned, tune

SIZES = tuple(range(1, 65))
ROUNDS = 15
NO_LIMIT_S = 3600.0


@dataclass(frozen=True)
class Exhaustive:
    """ratio: median throughput, choice / best. rounds: both were measured in each."""

    best: int
    chosen: int
    best_items_s: float
    chosen_items_s: float
    ratio: float
    rounds: int

    def as_dict(self) -> dict[str, float]:
        """Return the fields for JSON."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """The result in a sentence."""
        return (
            f"of all sizes up to {SIZES[-1]}, {self.best} is fastest: {self.best_items_s:.1f} "
            f"items/s; the chosen {self.chosen} reaches {self.chosen_items_s:.1f}, a ratio of "
            f"{self.ratio:.3f} over {self.rounds} interleaved rounds"
        )


def compare_with_all(
    run: Run, tuned: Tuned, config: TuneConfig, report: Callable[[str], None]
) -> Exhaustive:
    """Measure every size, then the best of them and the choice, interleaved.

    Raises:
        KeyboardInterrupt: interrupted before there was anything to compare.
    """
    every = replace(config, sizes=SIZES, refine=False, min_rounds=3, max_rounds=3)
    every = replace(every, budget_s=NO_LIMIT_S, max_batch_s=NO_LIMIT_S)
    found = tune(run, every, report)
    if not found.complete:
        raise KeyboardInterrupt
    medians = {n: statistics.median(times) for n, times in found.samples_ms.items()}
    best, chosen = max(medians, key=lambda n: n / medians[n]), tuned.spot.batch_size
    times_ms = interleaved(run, [best, chosen], ROUNDS)
    medians_ms = {n: statistics.median(times_ms[n]) for n in (best, chosen)}
    speed = {n: config.streams * 1000 * n / medians_ms[n] for n in (best, chosen)}
    return Exhaustive(
        best=best,
        chosen=chosen,
        best_items_s=round(speed[best], 2),
        chosen_items_s=round(speed[chosen], 2),
        ratio=round(speed[chosen] / speed[best], 4),
        rounds=ROUNDS,
    )
