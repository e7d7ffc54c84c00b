"""Results of the benchmark as numbers to record."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.ceiling.paper import (
    CORES,
    GFLOP,
    PEAK_TFLOPS,
    UTILISATION,
    card_images_s,
    cores_for,
    most_images_s,
)
from benchmarks.ceiling.turn import Turn
from benchmarks.containers.spread import Spread, spread

# By mix and number of preparing processes.
Round = Mapping[tuple[str, int], Turn]


def report(rounds: Sequence[Round]) -> dict[str, Any]:
    """Return what was measured, and on paper what threads and the most processes can do."""
    rows = [_row(rounds, mix, count) for mix, count in sorted(rounds[0])]
    most = max(row["processes"] for row in rows)
    turns = [turn for one in rounds for turn in one.values()]
    return {
        "measured": rows,
        "pictures_core_ms": _rounded(spread([turn.pictures_core_ms for turn in turns])),
        "foreign_cores": _rounded(spread([turn.foreign_cores for turn in turns])),
        "on_paper": {
            "dense_float16_tflops": PEAK_TFLOPS,
            "utilisation": UTILISATION,
            "gflop_an_image": {model: round(gflop, 2) for model, gflop in GFLOP.items()},
            "rows": [_on_paper(row) for row in rows if row["processes"] in (0, most)],
        },
    }


def _row(rounds: Sequence[Round], mix: str, count: int) -> dict[str, Any]:
    turns = [one[mix, count] for one in rounds]
    roles = list(turns[0].core_ms)

    def over(value: Callable[[Turn], float]) -> dict[str, float]:
        return _rounded(spread([value(turn) for turn in turns]))

    def memory(role: str) -> dict[str, float]:
        sizes = [turn.memory[role]._asdict() for turn in turns]
        return {key: round(statistics.median(one[key] for one in sizes), 1) for key in sizes[0]}

    speeds = [(one[mix, count].images_s, one[mix, 0].images_s) for one in rounds]
    return {
        "mix": mix,
        "processes": count,
        "images_s": over(lambda turn: turn.images_s),
        "times_threads": _rounded(spread([ours / threads for ours, threads in speeds])),
        "core_ms": over(lambda turn: sum(turn.core_ms.values())),
        "core_ms_by_role": {role: over(_core_ms_of(role)) for role in roles},
        "lock_ms": over(lambda turn: turn.lock_ms),
        "memory_mib_by_role": {role: memory(role) for role in roles},
    }


def _core_ms_of(role: str) -> Callable[[Turn], float]:
    return lambda turn: turn.core_ms[role]


def _on_paper(row: Mapping[str, Any]) -> dict[str, Any]:
    core_ms = row["core_ms"]["median"]
    # The sampled time includes waiting for a core, which a machine with enough cores does not have;
    # without that, the lock is held for the process's CPU time at most.
    lock_ms = min(row["lock_ms"]["median"], row["core_ms_by_role"]["encoder"]["median"])
    cards = {
        f"{card} {model}": card_images_s(peak, gflop)
        for card, peak in PEAK_TFLOPS.items()
        for model, gflop in GFLOP.items()
    }
    return {
        "mix": row["mix"],
        "processes": row["processes"],
        "images_s": {cores: round(most_images_s(cores, core_ms, lock_ms)) for cores in CORES},
        "cards": {
            name: {"images_s": round(speed), "cores": cores_for(speed, core_ms, lock_ms)}
            for name, speed in cards.items()
        },
    }


def _rounded(found: Spread) -> dict[str, float]:
    return {name: round(value, 3) for name, value in found._asdict().items()}
