"""Encoders on a device, and the memory and time of the device."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from benchmarks.gpu.checkpoints import checkpoint
from benchmarks.gpu.plan import Plan
from inference.profile.machine import forget_peak, peak_bytes
from model.backends.torch_encoder import DTYPES, TorchEncoder
from model.checkpoints.checkpoint import verify
from model.config import ModelConfig, Policy, Precision
from model.encoder import UInt8Array
from model.load import card_precisions, load

MIB = 2**20
# The service's default comes first, because a run may end before the last.
ORDER: tuple[Precision, ...] = ("float16", "bfloat16", "float32")


def precisions(plan: Plan) -> list[Precision]:
    """Return the device's precisions; a CPU computes all, though the service uses fewer."""
    there = card_precisions() if plan.device == "cuda" else tuple(DTYPES)
    return [one for one in ORDER if one in there]


@contextmanager
def opened(
    plan: Plan, name: str, precision: Precision, policy: Policy = "reference"
) -> Iterator[TorchEncoder]:
    """Open a warm encoder of a model; on a card, as the service does."""
    folder = checkpoint(plan, name)
    config = ModelConfig(
        str(folder), device=plan.device, backend="torch", precision=precision, policy=policy
    )
    encoder = load(config) if plan.device == "cuda" else TorchEncoder(verify(folder), config)
    assert isinstance(encoder, TorchEncoder)
    try:
        encoder.warm_up()
        yield encoder
    finally:
        encoder.close()
        del encoder
        clean(plan)


def clean(plan: Plan) -> None:
    """Release the memory of unreferenced objects."""
    gc.collect()
    if plan.device == "cuda":
        torch.cuda.empty_cache()


def noise(encoder: TorchEncoder, count: int) -> UInt8Array:
    """Return pictures of noise, all different: uint8 [N, S, S, 3]."""
    side = encoder.spec.image_size
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def forget_peak_memory(plan: Plan) -> None:
    """Reset the measured peak of memory."""
    if plan.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        forget_peak()


def peak_mib(plan: Plan) -> float:
    """Return the peak since: of torch's allocator on a card, of the process on a CPU."""
    used = torch.cuda.max_memory_allocated() if plan.device == "cuda" else peak_bytes()
    return used / MIB


def held_mib(plan: Plan) -> float | None:
    """Return the memory that torch's allocator has allocated on the card; None on a CPU."""
    return torch.cuda.memory_allocated() / MIB if plan.device == "cuda" else None


def device_ms(plan: Plan, run: Callable[[], object], repeats: int) -> float | None:
    """Return the device time of a run, by CUDA events around all repeats; None on a CPU."""
    if plan.device != "cuda":
        run()
        return None
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]  # torch's
    torch.cuda.synchronize()
    start.record()
    for _ in range(repeats):
        run()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / repeats
