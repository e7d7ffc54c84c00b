"""The factory: a configuration in, a warmed encoder out. Back ends are imported when chosen."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from model.checkpoint import Checkpoint, locate, verify
from model.config import Device, ModelConfig

if TYPE_CHECKING:
    from model.encoder import Encoder

# How often a thread of torch's OpenMP looks before it sleeps. Its default spins for milliseconds,
# in which the decoding threads wait for the core: benchmarks/results/spin.json.
SPIN_COUNT = "1000"


def precheck(model: str | None) -> None:
    """Find what is wrong before anything heavy starts; a hub id is only checked for its form.

    Raises:
        CheckpointError: one sentence that says what is wrong with which file.
    """
    found = locate(model)
    if isinstance(found, Path):
        verify(found)


def load(config: ModelConfig) -> Encoder:
    """Resolve, load and warm up an encoder.

    Raises:
        CheckpointError: one sentence that says what is wrong with which file.
    """
    encoder = _open(config)
    encoder.warm_up()
    return encoder


def runnable(config: ModelConfig) -> list[ModelConfig]:
    """The same model on every back end, device and precision that can run here."""
    if config.backend == "fake":
        return [config]
    import torch

    devices: tuple[Device, ...] = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    return [replace(config, device=device) for device in devices]


def open_checkpoint(model: str | None) -> Checkpoint:
    """Resolve and verify, downloading from the hub where `model` is a hub id."""
    found = locate(model)
    if isinstance(found, Path):
        return verify(found)
    from model.hub import download

    return verify(download(found), name=found)


def _open(config: ModelConfig) -> Encoder:
    if config.backend == "fake":
        from model.fake import FakeEncoder

        return FakeEncoder(config)
    checkpoint = open_checkpoint(config.model)
    # docs/decisions/0005: read once, when torch loads its OpenMP.
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    from model.torch_encoder import TorchEncoder

    return TorchEncoder(checkpoint, config)
