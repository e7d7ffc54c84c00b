"""Two models with different weights on one device: embeddings, throughput and memory."""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.gpu.encoders import clean, held_mib, noise, opened, precisions
from benchmarks.gpu.plan import Box, Found, Numbers, Plan, rounded
from inference.config import BatchConfig, EngineConfig, FetchConfig
from inference.engine.engine import Engine
from inference.types import Embeddings, ImageBytes, Item, Result, Text
from model.backends.torch_encoder import TorchEncoder
from model.encoder import Float32Array, UInt8Array
from model.fidelity.check import FLOORS
from model.synthetic.thumbnails import Thumbnail, sample

SECONDS, QUICK_SECONDS = 2.0, 0.2
ITEMS, QUICK_ITEMS, STREAMS, DEADLINE_S = 32, 4, 2, 20.0


def run(plan: Plan, box: Box) -> Found:
    """Run both at once: on threads, then in one request for both. Then close both."""
    precision = precisions(plan)[0]
    some = [sample(seed) for seed in range(QUICK_ITEMS if plan.quick else ITEMS)]
    first, second = plan.models[0], plan.twin
    with opened(plan, first, precision) as one, opened(plan, second, precision) as other:
        encoders = {"one": one, "other": other}
        numbers: Numbers = {"precision": precision, "held_mib": held_mib(plan)}
        numbers["images_s"] = rounded(_rates(plan, [one, other]), 1)
        box.note(numbers)
        numbers["differences"] = _differences(encoders, some)
        weights = [weakref.ref(encoder.model) for encoder in encoders.values()]
    clean(plan)
    numbers["closed_mib"] = held_mib(plan)  # with cuBLAS's workspace per thread's stream
    numbers["kept"] = [name for name, of in zip(encoders, weights, strict=True) if of()]
    problems = _problems(numbers, FLOORS[precision].invariance)
    return Found(numbers, _words(numbers), tuple(problems))


def _rates(plan: Plan, encoders: Sequence[TorchEncoder]) -> dict[str, float]:
    """Measure the images a second of each alone, and the sum of both at once."""
    seconds = QUICK_SECONDS if plan.quick else SECONDS
    pixels = noise(encoders[0], min(64, max(plan.sizes)))
    with ThreadPoolExecutor(len(encoders)) as pool:
        alone = [pool.submit(_rate, one, pixels, seconds).result() for one in encoders]
        both = [pool.submit(_rate, one, pixels, seconds) for one in encoders]
        return {"one": alone[0], "other": alone[1], "both": sum(one.result() for one in both)}


def _rate(encoder: TorchEncoder, pixels: UInt8Array, seconds: float) -> float:
    encoder.encode_images(pixels)
    count, start_s = 0, time.perf_counter()
    while time.perf_counter() < start_s + seconds:
        encoder.encode_images(pixels)
        count += len(pixels)
    return count / (time.perf_counter() - start_s)


def _differences(
    encoders: dict[str, TorchEncoder], some: Sequence[Thumbnail]
) -> dict[str, float | str]:
    """Compare a request for both models with each model alone: largest differences."""
    items: list[Item] = [ImageBytes(one.data) for one in some]
    items += [Text(one.caption) for one in some]
    engine = Engine(None, FetchConfig(), EngineConfig(streams=STREAMS))
    try:
        for name, encoder in encoders.items():
            engine.add(name, encoder, BatchConfig(), BatchConfig())
        deadline_s = time.monotonic() + DEADLINE_S
        results = engine.embed(items, deadline_s, models=list(encoders)).results
    finally:
        engine.stop()  # it does not close the encoders
    failed = [str(one) for one in results if not isinstance(one, Embeddings)]
    if failed:
        return dict.fromkeys(encoders, f"{len(failed)} items failed: {failed[0]}")
    return {
        name: float(np.abs(_vectors(results, name) - _alone(encoder, some)).max())
        for name, encoder in encoders.items()
    }


def _vectors(results: Sequence[Result], name: str) -> Float32Array:
    """Return one model's embeddings, float32 [N, D]."""
    return np.stack([one.by_model[name].vector for one in results if isinstance(one, Embeddings)])


def _alone(encoder: TorchEncoder, some: Sequence[Thumbnail]) -> Float32Array:
    """Return the same from the encoder itself: pictures, then texts."""
    pixels = np.stack([encoder.spec.preprocessing(one.data) for one in some])
    texts, _ = encoder.encode_texts([one.caption for one in some])
    return np.concatenate([encoder.encode_images(pixels), texts])


def _problems(numbers: Numbers, limit: float) -> list[str]:
    found = [
        f"{name} in a request for both: {value if isinstance(value, str) else f'{value:.1e}'}"
        for name, value in numbers["differences"].items()
        if isinstance(value, str) or not value <= limit
    ]
    return [*found, *(f"{name} keeps its weights after it is closed" for name in numbers["kept"])]


def _words(numbers: Numbers) -> str:
    rates = numbers["images_s"]
    listed = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
    return f"images/s of each alone, and the sum of both at once: {listed}"
