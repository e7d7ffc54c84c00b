"""CUDA graphs of the image tower: agreement with eager passes, and images a second, alternating."""

from __future__ import annotations

import statistics
import time

import numpy as np

from benchmarks.gpu.encoders import noise, opened, precisions
from benchmarks.gpu.plan import Box, Found, Numbers, Plan, rounded
from inference.tuning.runners import on_streams
from model.backends.cuda.cuda_graphs import BUCKETS
from model.backends.torch_encoder import TorchEncoder
from model.encoder import UInt8Array

# Sizes of a bucket, between two, and above all.
SIZES, QUICK_SIZES = (1, 3, 8, 20, 64, 65), (1, 3)
STREAMS, ROUNDS, BATCHES = 2, 5, 8
# The largest allowed difference in any component.
DIFFERENCE = 1e-3


def run(plan: Plan, box: Box) -> Found:
    """Compare both ways on two streams; on a CPU batches are padded, but nothing is captured."""
    numbers: Numbers = {"buckets": list(BUCKETS)}
    with opened(plan, plan.models[0], precisions(plan)[0]) as encoder:
        start_s = time.perf_counter()
        graphs = encoder.captured()
        numbers["captured_s"] = time.perf_counter() - start_s
        sizes = QUICK_SIZES if plan.quick else SIZES
        pixels = noise(encoder, max(sizes))
        ways = {"eager": None, "graphs": graphs}
        for size in sizes:
            rows = {}
            for way, encoder.graphs in ways.items():
                rows[way] = encoder.encode_images(pixels[:size])
            rates: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(ROUNDS):
                for way, encoder.graphs in ways.items():
                    rates[way].append(_rate(encoder, pixels[:size]))
            pairs = zip(rates["graphs"], rates["eager"], strict=True)
            numbers[str(size)] = {
                "difference": float(np.abs(rows["graphs"] - rows["eager"]).max()),
                **rounded({way: statistics.median(of) for way, of in rates.items()}, 1),
                "ratio": statistics.median(one / other for one, other in pairs),
            }
            box.note(numbers)
    return Found(numbers, _words(plan, numbers, sizes), tuple(_problems(numbers, sizes)))


def _rate(encoder: TorchEncoder, pixels: UInt8Array) -> float:
    """Return images a second in a few batches on each stream."""

    def encode(_: int) -> None:
        for _ in range(BATCHES):
            encoder.encode_images(pixels)

    with on_streams(encode, STREAMS) as run_on_all:
        run_on_all(1)  # each thread's stream and memory
        start_s = time.perf_counter()
        run_on_all(1)
        return len(pixels) * STREAMS * BATCHES / (time.perf_counter() - start_s)


def _problems(numbers: Numbers, sizes: tuple[int, ...]) -> list[str]:
    differences = {size: numbers[str(size)]["difference"] for size in sizes}
    return [
        f"graphs change an embedding in a batch of {size} by {difference:.1e}"
        for size, difference in differences.items()
        if not difference <= DIFFERENCE
    ]


def _words(plan: Plan, numbers: Numbers, sizes: tuple[int, ...]) -> str:
    ratios = [f"batches of {size}: {numbers[str(size)]['ratio']:.2f}" for size in sizes]
    nothing = " (on a CPU nothing is captured)" if plan.device == "cpu" else ""
    return f"images/s over eager, {', '.join(ratios)}{nothing}"
