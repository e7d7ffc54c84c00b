"""Latency curve of both towers in each precision: host time, device time, and memory.

host_ms: from pixels or texts in memory to embeddings in memory, median. device_ms: the tower alone
on tensors already on the card, by CUDA events. peak_mib: peak at this size, with the weights.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from benchmarks.gpu.encoders import (
    device_ms,
    forget_peak_memory,
    held_mib,
    noise,
    opened,
    peak_mib,
    precisions,
)
from benchmarks.gpu.plan import Box, Found, Numbers, Plan, rounded
from inference.profile.curve import Point, fit, sweet_spot
from inference.tuning.runners import SAMPLE_TEXTS
from model.backends.memory_errors import memory_errors
from model.backends.torch_encoder import TorchEncoder
from model.errors import OutOfMemory

# Time and rounds of one size.
BUDGET_S, QUICK_BUDGET_S, MIN_ROUNDS, MAX_ROUNDS = 0.15, 0.0, 2, 30
# The first size that takes longer is the last one measured.
MAX_BATCH_S = 0.6
# Reserve for the last size: some six batches.
SPARE_S = 8.0


@dataclass(frozen=True)
class Tower:
    """host: embeds a batch of n. resident: makes a run of a batch that is on the device."""

    host: Callable[[int], object]
    resident: Callable[[int], Callable[[], object]]


def run(plan: Plan, box: Box) -> Found:
    """Measure every model in every precision; each gets a share of the remaining time."""
    numbers: Numbers = {}
    inner = Box(box.left_s - SPARE_S)
    wanted = [(name, precision) for name in plan.models for precision in precisions(plan)]
    for done, (name, precision) in enumerate(wanted):
        of: Numbers = {}
        numbers.setdefault(name, {})[precision] = of
        share = inner.share(len(wanted) - done)
        with opened(plan, name, precision) as encoder:
            of["weights_mib"] = held_mib(plan)
            of["image"] = measure(plan, images(plan, encoder), share.share(2))
            box.note(numbers)
            of["text"] = measure(plan, texts(plan, encoder), share)
            box.note(numbers)
    problems = [f"{name}: {words}" for name, words in _unmeasured(numbers)]
    return Found(numbers, "; ".join(_words(numbers)), tuple(problems))


def images(plan: Plan, encoder: TorchEncoder) -> Tower:
    """Return the image tower, with pictures of noise."""
    pixels = noise(encoder, max(plan.sizes))

    def resident(n: int) -> Callable[[], object]:
        batch = torch.from_numpy(pixels[:n]).to(plan.device)
        return lambda: encoder.embed_pixels(batch)

    return Tower(lambda n: encoder.encode_images(pixels[:n]), resident)


def texts(plan: Plan, encoder: TorchEncoder) -> Tower:
    """Return the text tower, with texts of mixed length; host time includes the tokenizer."""
    every = [SAMPLE_TEXTS[index % len(SAMPLE_TEXTS)] for index in range(max(plan.sizes))]

    def resident(n: int) -> Callable[[], object]:
        batch = torch.from_numpy(encoder.tokenizer(every[:n])[0]).to(plan.device)
        return lambda: encoder.embed_tokens(batch)

    return Tower(lambda n: encoder.encode_texts(every[:n]), resident)


def measure(plan: Plan, tower: Tower, box: Box) -> Numbers:
    """Measure increasing sizes; return points, why it ended, and the sweet spot."""
    points: list[Numbers] = []
    ended = "all sizes"
    for n in plan.sizes:
        if not box.left_s:
            ended = f"no time left for a batch of {n}"
            break
        try:
            with memory_errors():
                points.append(_point(plan, tower, n))
        except OutOfMemory as exc:
            ended = f"out of memory at {n}: {exc}"
            break
        if points[-1]["host_ms"] > 1000 * MAX_BATCH_S:
            ended = f"a batch of {n} takes longer than {MAX_BATCH_S} s"
            break
    return {"points": points, "ended": ended, "sweet_spot": _sweet_spot(points)}


def _point(plan: Plan, tower: Tower, n: int) -> Numbers:
    tower.host(n)  # cold: memory, kernels
    forget_peak_memory(plan)
    budget_s = QUICK_BUDGET_S if plan.quick else BUDGET_S
    times_ms = _times_ms(lambda: tower.host(n), budget_s)
    on_device = tower.resident(n)
    on_device()
    host_ms = statistics.median(times_ms)
    found = {
        "host_ms": host_ms,
        "host_p95_ms": sorted(times_ms)[int(0.95 * (len(times_ms) - 1))],
        "device_ms": device_ms(plan, on_device, len(times_ms)),
        "items_s": 1000 * n / host_ms,
        "peak_mib": peak_mib(plan),
    }
    return {"n": n, "rounds": len(times_ms), **rounded(found)}


def _times_ms(run_once: Callable[[], object], budget_s: float) -> list[float]:
    """Time as many runs as fit into the budget."""
    times_ms: list[float] = []
    end_s = time.perf_counter() + budget_s
    while len(times_ms) < MIN_ROUNDS or (
        len(times_ms) < MAX_ROUNDS and time.perf_counter() < end_s
    ):
        start_s = time.perf_counter()
        run_once()
        times_ms.append(1000 * (time.perf_counter() - start_s))
    return times_ms


def _sweet_spot(points: Sequence[Numbers]) -> int | None:
    if not points:
        return None
    measured = [Point(one["n"], one["host_ms"], one["host_p95_ms"]) for one in points]
    return sweet_spot(fit(measured)).batch_size


def _unmeasured(numbers: Numbers) -> list[tuple[str, str]]:
    """List curves without a point: one item did not fit, or no time was left."""
    return [
        (f"{name} in {precision}, {tower}", of[tower]["ended"])
        for name, found in numbers.items()
        for precision, of in found.items()
        for tower in ("image", "text")
        if not of[tower]["points"]
    ]


def _words(numbers: Numbers) -> list[str]:
    """Describe the fastest image batch of each model and precision."""
    words = []
    for name, found in numbers.items():
        for precision, of in found.items():
            best = max(of["image"]["points"], key=lambda one: one["items_s"], default=None)
            if best:
                rate, mib = f"{best['items_s']:,.0f}", f"{best['peak_mib']:,.0f}"
                words.append(f"{name} {precision} {rate} images/s at {best['n']}, {mib} MiB")
    return words
