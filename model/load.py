"""The factory: a configuration in, an encoder out. Back ends are imported when chosen."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from model.checkpoint import Checkpoint, locate, verify
from model.config import Backend, Device, ModelConfig, Precision
from model.errors import CheckpointError

if TYPE_CHECKING:
    from model.encoder import Encoder

# How often a thread of torch's OpenMP looks before it sleeps. Its default spins for milliseconds,
# in which the decoding threads wait for the core: benchmarks/results/spin.json.
SPIN_COUNT = "1000"
# The driver's files, on Linux and under Windows: asking torch would import it, 1.4 s.
CUDA_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))

PRECISIONS: dict[tuple[Backend, Device], tuple[Precision, ...]] = {
    ("torch", "cpu"): ("float32",),
    ("torch", "cuda"): ("float32", "float16"),
    ("openvino", "cpu"): ("float32", "bfloat16", "int8"),
}


def precheck(config: ModelConfig) -> None:
    """Find what is wrong before anything heavy starts; a hub id is only checked for its form.

    Asks no CUDA driver: the process forks after this.

    Raises:
        CheckpointError: one sentence that says what is wrong with which file, or setting.
    """
    found = locate(config.model)
    if isinstance(found, Path):
        verify(found)
    if config.device != "auto" or not _has_driver():
        settle(config)


def load(config: ModelConfig) -> Encoder:
    """Resolve and load an encoder; it is warm once `warm_up` was called.

    Raises:
        CheckpointError: one sentence that says what is wrong with which file, or that the
            configuration cannot run here.
    """
    if config.backend == "fake":
        from model.fake import FakeEncoder

        return FakeEncoder(config)
    config = settle(config)
    checkpoint = open_checkpoint(config.model)
    # docs/decisions/0005: read once, when torch loads its OpenMP.
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    if config.backend == "openvino":
        from model.openvino_encoder import OpenVinoEncoder

        return OpenVinoEncoder(checkpoint, config)
    from model.torch_encoder import TorchEncoder

    return TorchEncoder(checkpoint, config)


def settle(config: ModelConfig) -> ModelConfig:
    """Replace `auto` as back end and device; check that the precision is one of theirs.

    Raises:
        CheckpointError: the combination does not run here.
    """
    device = config.device
    if device == "auto":
        on_cpu = config.backend == "openvino" or config.precision in ("int8", "bfloat16")
        device = "cpu" if on_cpu or not has_cuda() else "cuda"
    backend = config.backend
    if backend == "auto":
        fits = device == "cpu" and config.precision != "float16" and find_spec("openvino")
        backend = "openvino" if fits else "torch"
    if backend == "openvino" and not find_spec("openvino"):
        raise CheckpointError("back end openvino was asked for, and it is not installed")
    known = PRECISIONS.get((backend, device))
    if known is None:
        raise CheckpointError(f"back end {backend} does not run on device {device}")
    if config.precision not in ("auto", *known):
        raise CheckpointError(
            f"precision {config.precision} does not run with back end {backend} on {device}; "
            f"it has {', '.join(known)}"
        )
    return replace(config, device=device, backend=backend)


def has_cuda() -> bool:
    """Whether torch finds a CUDA device; torch is imported only where there is a driver.

    Raises:
        CheckpointError: the driver is too old for this torch.
    """
    if not _has_driver():
        return False
    import torch

    from model.driver import check_driver, driver_cuda

    check_driver(driver_cuda(), torch.version.cuda)
    return torch.cuda.is_available()


def runnable(config: ModelConfig) -> list[ModelConfig]:
    """The same model on every back end, device and precision that can run here."""
    if config.backend == "fake":
        return [config]
    backends: list[tuple[Backend, Device]] = [("torch", "cpu")]
    if find_spec("openvino"):
        backends.append(("openvino", "cpu"))
    if has_cuda():
        backends.append(("torch", "cuda"))
    return [
        replace(config, backend=backend, device=device, precision=precision)
        for backend, device in backends
        for precision in PRECISIONS[backend, device]
        if _is_there(config, precision)
    ]


def open_checkpoint(model: str | None) -> Checkpoint:
    """Resolve and verify, downloading from the hub where `model` is a hub id."""
    found = locate(model)
    if isinstance(found, Path):
        return verify(found)
    from model.hub import download

    return verify(download(found), name=found)


def _has_driver() -> bool:
    return any(path.exists() for path in CUDA_DRIVERS)


def _is_there(config: ModelConfig, precision: Precision) -> bool:
    """Whether this machine has a precision, or the checkpoint graphs of it."""
    if precision == "int8":
        from model.graphs import find

        return find(open_checkpoint(config.model), "int8") is not None
    if precision == "bfloat16":
        from model.runtime import core

        return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return True
