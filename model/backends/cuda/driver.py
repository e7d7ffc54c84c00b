"""Queries of the NVIDIA driver and its card."""

from __future__ import annotations

import ctypes

from model.errors import CheckpointError

LIBRARY = "libcuda.so.1"


def driver_cuda(library: str = LIBRARY) -> tuple[int, int] | None:
    """Return the driver's CUDA version, such as (12, 2), or None. Does not start CUDA."""
    version = ctypes.c_int(0)
    try:
        if ctypes.CDLL(library).cuDriverGetVersion(ctypes.byref(version)) != 0:
            return None
    except (OSError, AttributeError):
        return None
    return version.value // 1000, version.value % 1000 // 10


def check_driver(driver: tuple[int, int] | None, built_for: str | None) -> None:
    """Compare major versions: within one, newer libraries run on older drivers.

    NVIDIA's CUDA compatibility guide calls this minor version compatibility.

    Args:
        driver: see `driver_cuda`.
        built_for: `torch.version.cuda`; None is a build without CUDA.

    Raises:
        CheckpointError: the driver is too old.
    """
    if driver is None or built_for is None or driver[0] >= int(built_for.split(".")[0]):
        return
    raise CheckpointError(
        f"the NVIDIA driver is too old: it runs CUDA {driver[0]}.{driver[1]}, torch here was built "
        f"for {built_for}; update the driver (on SageMaker: InferenceAmiVersion), or --device cpu"
    )


def has_bfloat16() -> bool:
    """Whether the card has bfloat16 in hardware (from compute capability 8.0). Starts CUDA.

    Older cards emulate it as slowly as float32.
    """
    import torch

    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
