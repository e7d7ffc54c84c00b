"""The latency curve of both towers in each precision: the host's time, the card's, and memory.

host_ms: from pixels or texts in memory to embeddings in memory, median. device_ms: the tower alone
on tensors that are there, by CUDA events. peak_mib: weights and all, at this size.
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
from model.backends.torch_encoder import TorchEncoder, memory_errors
from model.errors import OutOfMemory

# Of one size.
BUDGET_S, MIN_ROUNDS, MAX_ROUNDS = 0.15, 2, 30
# The first size that takes longer is the last; the next would take double.
MAX_BATCH_S = 0.6
# For a last size that has begun: some six batches of it.
SPARE_S = 8.0


@dataclass(frozen=True)
class Tower:
    """host: embeds a batch of n. resident: the same of one that is on the device, ready to run."""

    host: Callable[[int], object]
    resident: Callable[[int], Callable[[], object]]


def run(plan: Plan, box: Box) -> Found:
    """Measure every model in every precision; each has a share of the time that is left."""
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
    """The image tower, on pictures of noise."""
    pixels = noise(encoder, max(plan.sizes))

    def resident(n: int) -> Callable[[], object]:
        batch = torch.from_numpy(pixels[:n]).to(plan.device)
        return lambda: encoder.embed_pixels(batch)

    return Tower(lambda n: encoder.encode_images(pixels[:n]), resident)


def texts(plan: Plan, encoder: TorchEncoder) -> Tower:
    """The text tower, on texts of mixed length; the host's time has the tokenizer's in it."""
    every = [SAMPLE_TEXTS[index % len(SAMPLE_TEXTS)] for index in range(max(plan.sizes))]

    def resident(n: int) -> Callable[[], object]:
        batch = torch.from_numpy(encoder.tokenizer(every[:n])[0]).to(plan.device)
        return lambda: encoder.embed_tokens(batch)

    return Tower(lambda n: encoder.encode_texts(every[:n]), resident)


def measure(plan: Plan, tower: Tower, box: Box) -> Numbers:
    """Points of rising size, why there are no more, and the size that the service would choose."""
    points: list[Numbers] = []
    ended = "all sizes"
    for n in plan.sizes:
        if not box.left_s:
            ended = f"no time was left for {n}"
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
    times_ms = _times_ms(lambda: tower.host(n))
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


def _times_ms(run_once: Callable[[], object]) -> list[float]:
    """Of as many runs as the budget has room for."""
    times_ms: list[float] = []
    end_s = time.perf_counter() + BUDGET_S
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
    """Curves without a point: not even one item could be embedded, or there was no time."""
    return [
        (f"{name} in {precision}, {tower}", of[tower]["ended"])
        for name, found in numbers.items()
        for precision, of in found.items()
        for tower in ("image", "text")
        if not of[tower]["points"]
    ]


def _words(numbers: Numbers) -> list[str]:
    """The fastest batch of images of each model and precision."""
    words = []
    for name, found in numbers.items():
        for precision, of in found.items():
            best = max(of["image"]["points"], key=lambda one: one["items_s"], default=None)
            if best:
                rate, mib = f"{best['items_s']:,.0f}", f"{best['peak_mib']:,.0f}"
                words.append(f"{name} {precision} {rate} images/s at {best['n']}, {mib} MiB")
    return words
