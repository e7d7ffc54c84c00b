"""Gain of pinned memory: copies through it and from pageable memory, alternating."""

from __future__ import annotations

import statistics
import time

import torch

from benchmarks.gpu.encoders import noise, opened, precisions
from benchmarks.gpu.plan import Box, Found, Numbers, Plan, rounded
from inference.tuning.runners import on_streams
from model.backends.cuda.staging import Staging
from model.backends.torch_encoder import TorchEncoder

STREAMS = (1, 2)
ROUNDS, BATCHES = 5, 8
WAYS = {"pinned": True, "pageable": False}


def run(plan: Plan, box: Box) -> Found:
    """Measure images a second both ways, on one and two streams; a CPU copies nothing."""
    size = min(64, max(plan.sizes))
    numbers: Numbers = {"size": size}
    with opened(plan, plan.models[0], precisions(plan)[0]) as encoder:
        for streams in STREAMS:
            rates = _rates(plan, encoder, size, streams)
            numbers[f"{streams} streams"] = rounded(rates)
            box.note(numbers)
    words = [
        f"{streams} streams: {numbers[f'{streams} streams']['ratio']:.2f} x pageable"
        for streams in STREAMS
    ]
    nothing = " (on a CPU nothing is copied)" if plan.device == "cpu" else ""
    return Found(numbers, f"pinned, {', '.join(words)}{nothing}")


def _rates(plan: Plan, encoder: TorchEncoder, size: int, streams: int) -> dict[str, float]:
    """Return images a second both ways, and the median ratio over rounds."""
    pixels = noise(encoder, size)
    stagings = {way: Staging(torch.device(plan.device), pinned=of) for way, of in WAYS.items()}
    rates: dict[str, list[float]] = {way: [] for way in WAYS}

    def encode(n: int) -> None:
        for _ in range(BATCHES):
            encoder.encode_images(pixels[:n])

    with on_streams(encode, streams) as run_on_all:
        for staging in stagings.values():  # warm-up: streams, memory
            encoder.staging = staging
            run_on_all(size)
        for _ in range(ROUNDS):
            for way in WAYS:
                encoder.staging = stagings[way]
                start_s = time.perf_counter()
                run_on_all(size)
                rates[way].append(size * streams * BATCHES / (time.perf_counter() - start_s))
    pairs = zip(rates["pinned"], rates["pageable"], strict=True)
    medians = {way: statistics.median(of) for way, of in rates.items()}
    return medians | {"ratio": statistics.median(one / other for one, other in pairs)}
