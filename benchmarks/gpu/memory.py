"""Recovery from out of memory: of an encoder, of a halved batch, of requests in an engine.

On a card the process gets little more memory than a small batch needs. A CPU has no such limit:
there a wrapper refuses large batches.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from benchmarks.gpu.encoders import MIB, clean, noise, opened, precisions
from benchmarks.gpu.plan import Box, Found, Numbers, Plan
from inference.batching.forward import Forward
from inference.config import BatchConfig, EngineConfig, FetchConfig
from inference.engine.engine import Engine
from inference.types import Embedding, ImageBytes, Result
from model.backends.torch_encoder import TorchEncoder
from model.encoder import Encoder, EncoderSpec, Float32Array, Int64Array, Pixels, UInt8Array
from model.errors import OutOfMemory
from model.fidelity.check import FLOORS
from model.synthetic.thumbnails import sample

# A small batch, and the factor to a batch that is far too large.
SMALL, QUICK_SMALL, TIMES, QUICK_TIMES = 16, 2, 64, 4
# Added to a small batch's need: each thread's stream has a cuBLAS workspace, 32 MiB on Hopper.
SPARE_BYTES = 128 * MIB
PICTURES, DEADLINE_S = 16, 25.0


def run(plan: Plan, box: Box) -> Found:
    """Run out of memory, then compare embeddings after it with those before it."""
    # Each halved batch logs a warning; here halving is intended.
    logging.getLogger("inference").setLevel(logging.ERROR)
    small, times = (QUICK_SMALL, QUICK_TIMES) if plan.quick else (SMALL, TIMES)
    precision = precisions(plan)[0]
    with opened(plan, plan.models[0], precision) as encoder:
        few = noise(encoder, small)
        before = encoder.encode_images(few)
        with _little_memory(plan, encoder, few) as tight:
            numbers: Numbers = {"small": small, "large": small * times}
            numbers["met"] = _is_met(tight, np.repeat(few, times, axis=0))
            numbers["after"] = float(np.abs(tight.encode_images(few) - before).max())
            box.note(numbers)
            numbers["halved"] = _halved(tight, few, before, times)
            box.note(numbers)
            numbers["engine"] = _through_engine(tight, small * times)
    problems = _problems(numbers, FLOORS[precision].invariance)
    return Found(numbers, _words(numbers), tuple(problems))


class Refusing:
    """An encoder that refuses batches of more than a number of items."""

    def __init__(self, encoder: TorchEncoder, most: int) -> None:
        self._encoder, self._most = encoder, most

    @property
    def spec(self) -> EncoderSpec:
        """The wrapped encoder's spec."""
        return self._encoder.spec

    def preprocess(self, data: bytes) -> UInt8Array:
        """Decode one image."""
        return self._encoder.spec.preprocessing(data)

    def encode_images(self, pixels: Pixels) -> Float32Array:
        """Embed a batch, or refuse it. Raises OutOfMemory."""
        if len(pixels) > self._most:
            raise OutOfMemory(f"there is room for {self._most}")
        return self._encoder.encode_images(pixels)

    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32Array, Int64Array]:
        """Embed texts."""
        return self._encoder.encode_texts(texts)

    def use_threads(self, threads: int, streams: int = 1) -> None:
        """Pass on to the encoder."""
        self._encoder.use_threads(threads, streams)

    def warm_up(self) -> None:
        """Do nothing: the encoder is warm."""

    def close(self) -> None:
        """Do nothing: the caller closes the encoder."""


@contextmanager
def _little_memory(plan: Plan, encoder: TorchEncoder, few: UInt8Array) -> Iterator[Encoder]:
    """Limit the memory of the encoder to a small batch and SPARE_BYTES."""
    if plan.device == "cpu":
        yield Refusing(encoder, len(few))
        return
    clean(plan)
    encoder.encode_images(few)
    allowed = torch.cuda.memory_reserved() + SPARE_BYTES
    torch.cuda.set_per_process_memory_fraction(allowed / torch.cuda.mem_get_info()[1])
    try:
        yield encoder
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def _is_met(tight: Encoder, many: UInt8Array) -> bool:
    """Return whether a large batch raises OutOfMemory."""
    try:
        tight.encode_images(many)
    except OutOfMemory:
        return True
    return False


def _halved(tight: Encoder, few: UInt8Array, before: Float32Array, times: int) -> Numbers:
    """Run a large batch as the batcher does: halved until it fits."""
    kept: list[int] = []
    forward = Forward(tight, lambda _, most: kept.append(most))
    results = forward.run("image", list(np.repeat(few, times, axis=0)))
    expected = np.repeat(before, times, axis=0)
    return {"kept_to": min(kept, default=None), **_against(results, expected)}


def _through_engine(tight: Encoder, count: int) -> Numbers:
    """Embed `count` pictures in one request, with batches of up to that size."""
    few = [sample(seed).data for seed in range(min(PICTURES, count))]
    expected = [tight.encode_images(np.stack([tight.spec.preprocessing(one)]))[0] for one in few]
    # Equal items are encoded once; a number after the end of the image data makes them differ.
    data = [few[index % len(few)] + index.to_bytes(4, "little") for index in range(count)]
    config = EngineConfig(
        image=BatchConfig(count, DEADLINE_S), window=count, max_items_in_flight=count
    )
    engine = Engine(tight, FetchConfig(), config)
    try:
        deadline_s = time.monotonic() + DEADLINE_S
        results = engine.embed([ImageBytes(one) for one in data], deadline_s).results
        kept_to = engine.report("image").limit
    finally:
        engine.stop()  # it does not close the encoder
    rows = np.stack([expected[index % len(few)] for index in range(count)])
    return {"kept_to": kept_to, **_against(results, rows)}


def _against(results: Sequence[Result], expected: Float32Array) -> Numbers:
    """Return the number of embedded items, and the largest absolute difference."""
    pairs = zip(results, expected, strict=True)
    found = [(one.vector, row) for one, row in pairs if isinstance(one, Embedding)]
    difference = max((float(np.abs(one - row).max()) for one, row in found), default=0.0)
    return {"embedded": len(found), "difference": difference}


def _problems(numbers: Numbers, limit: float) -> list[str]:
    large, found = numbers["large"], []
    if not numbers["met"]:
        found.append(f"a batch of {large} did not run out of memory")
    if not numbers["after"] <= limit:
        found.append(f"afterwards the same batch differs by {numbers['after']:.1e}")
    for way in ("halved", "engine"):
        one = numbers[way]
        if one["embedded"] < large or not one["difference"] <= limit:
            found.append(f"{way}: {one['embedded']} of {large}, off by {one['difference']:.1e}")
        if one["kept_to"] is None or one["kept_to"] >= large:
            found.append(f"{way}: later batches are not limited")
    return found


def _words(numbers: Numbers) -> str:
    large, engine = numbers["large"], numbers["engine"]
    met = "refused" if numbers["met"] else "NOT refused"
    return (
        f"a batch of {large} {met}; through the engine {engine['embedded']} of {large}, "
        f"later batches limited to {engine['kept_to']}"
    )
