"""The factory of encoders. A back end is imported only when it is chosen."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from model.checkpoints.checkpoint import Checkpoint, locate, verify
from model.checkpoints.graphs import GRAPH_PRECISIONS, check_int8, graphs_folder
from model.checkpoints.layouts import clip_folder
from model.checkpoints.weights import weight_files
from model.config import Backend, Device, ModelConfig, Precision
from model.errors import CheckpointError

if TYPE_CHECKING:
    from model.encoder import Encoder

# How often a thread of torch's OpenMP polls before it sleeps. The default spins for milliseconds,
# while the decoding threads wait for the core: benchmarks/results/spin.json.
SPIN_COUNT = "1000"
# The driver's files on Linux and under Windows. Asking torch instead would import it: 1.4 s.
CUDA_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))

PRECISIONS: dict[tuple[Backend, Device], tuple[Precision, ...]] = {
    ("torch", "cpu"): ("float32",),
    ("torch", "cuda"): ("float32", "bfloat16", "float16"),
    ("openvino", "cpu"): ("float32", "bfloat16", "int8"),
}


def precheck(config: ModelConfig) -> None:
    """Check the configuration before anything heavy starts. Of a hub id only the form is checked.

    Does not call the CUDA driver, because the process forks after this.

    Raises:
        CheckpointError: the message says in one sentence which file or setting is wrong, and how.
    """
    found = locate(config.model)
    if isinstance(found, Path):
        verify(found)
    if config.device == "cuda" and not has_driver():
        raise CheckpointError("device cuda was requested, but there is no CUDA driver here")
    if config.device != "auto" or not has_driver():
        settled = settle(config)
        if isinstance(found, Path) and not _has_graphs(settled, found):
            weight_files(clip_folder(found))
    if isinstance(found, Path) and config.precision == "int8":
        check_int8(clip_folder(found))


def _has_graphs(config: ModelConfig, folder: Path) -> bool:
    """Whether graphs in the folder run a configuration, so that it needs no weights."""
    if config.backend != "openvino":
        return False
    inside = clip_folder(folder)
    made = {one for one in GRAPH_PRECISIONS if graphs_folder(inside, one).is_dir()}
    if config.precision == "auto":
        return bool(made)
    return ("int8" if config.precision == "int8" else "float32") in made


def load(config: ModelConfig) -> Encoder:
    """Resolve the checkpoint and load an encoder. Its first batch is slow without `warm_up`.

    Raises:
        CheckpointError: the message says in one sentence which file is wrong and how, or that
            the configuration cannot run here.
    """
    if config.backend == "fake":
        from model.backends.fake import FakeEncoder

        return FakeEncoder(config)
    config = settle(config)
    checkpoint = open_checkpoint(config.model)
    spin_briefly()
    if config.backend == "openvino":
        from model.backends.openvino_encoder import OpenVinoEncoder

        return OpenVinoEncoder(checkpoint, config)
    from model.backends.torch_encoder import TorchEncoder

    return TorchEncoder(checkpoint, config)


def spin_briefly() -> None:
    """Have torch's threads sleep soon. OpenMP reads this once, when torch loads it."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)  # docs/decisions/0005


def settle(config: ModelConfig) -> ModelConfig:
    """Resolve `auto` for back end and device, and check that they support the precision.

    Raises:
        CheckpointError: the combination does not run here.
    """
    device = config.device
    if device == "auto":
        device = "cuda" if _may_be_cuda(config) and suits(config, card_precisions()) else "cpu"
    if config.cuda_graphs and device != "cuda":
        raise CheckpointError("CUDA graphs were requested, but the encoder runs on a CPU")
    backend = config.backend
    if backend == "auto":
        fits = device == "cpu" and config.precision != "float16" and find_spec("openvino")
        backend = "openvino" if fits else "torch"
    if backend == "openvino" and not find_spec("openvino"):
        raise CheckpointError("back end openvino was requested, but it is not installed")
    known = PRECISIONS.get((backend, device))
    if known is None:
        raise CheckpointError(f"back end {backend} does not run on device {device}")
    if config.precision not in ("auto", *known):
        raise CheckpointError(
            f"precision {config.precision} does not run with back end {backend} on {device}; "
            f"it supports {', '.join(known)}"
        )
    return replace(config, device=device, backend=backend)


def suits(config: ModelConfig, card: Collection[Precision]) -> bool:
    """Whether `auto` selects the card. card: the precisions it runs; empty without a card."""
    return bool(card) and (config.precision == "auto" or config.precision in card)


def card_precisions() -> tuple[Precision, ...]:
    """Return the precisions that the CUDA device here runs; empty without a device.

    Imports torch only if there is a driver.

    Raises:
        CheckpointError: the driver is too old for this torch.
    """
    if not has_driver():
        return ()
    import torch

    from model.backends.cuda.driver import check_driver, driver_cuda, has_bfloat16

    check_driver(driver_cuda(), torch.version.cuda)
    if not torch.cuda.is_available():
        return ()
    known = PRECISIONS["torch", "cuda"]
    return tuple(one for one in known if one != "bfloat16" or has_bfloat16())


def runnable(config: ModelConfig) -> list[ModelConfig]:
    """Return the configuration once for each back end, device and precision that runs here."""
    if config.backend == "fake":
        return [config]
    found: dict[tuple[Backend, Device], Sequence[Precision]] = {}
    found["torch", "cpu"] = PRECISIONS["torch", "cpu"]
    if find_spec("openvino"):
        every = PRECISIONS["openvino", "cpu"]
        found["openvino", "cpu"] = [one for one in every if _openvino_has(config, one)]
    found["torch", "cuda"] = card_precisions()
    return [
        replace(
            config,
            backend=backend,
            device=device,
            precision=precision,
            cuda_graphs=config.cuda_graphs and device == "cuda",
        )
        for (backend, device), precisions in found.items()
        for precision in precisions
    ]


def open_checkpoint(model: str | None) -> Checkpoint:
    """Resolve and verify a checkpoint; download it if `model` is a hub id."""
    found = locate(model)
    if isinstance(found, Path):
        return verify(found)
    from model.checkpoints.hub import download

    return verify(download(found), name=found)


def has_driver() -> bool:
    """Whether there may be a card. Cheaper than asking torch."""
    return any(path.exists() for path in CUDA_DRIVERS)


def _may_be_cuda(config: ModelConfig) -> bool:
    """Whether CUDA could run the configuration. Avoids the torch import that finds a card."""
    known = PRECISIONS["torch", "cuda"]
    return config.backend != "openvino" and config.precision in ("auto", *known)


def _openvino_has(config: ModelConfig, precision: Precision) -> bool:
    """Whether this CPU supports a precision; for int8, whether the checkpoint has graphs."""
    if precision == "int8":
        from model.checkpoints.graphs import find

        return find(open_checkpoint(config.model), "int8") is not None
    if precision == "bfloat16":  # of this CPU; `card_precisions` asks torch about a card
        from model.backends.runtime import cpu_has_bfloat16

        return cpu_has_bfloat16()
    return True
