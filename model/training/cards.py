"""The cards that a training can use."""

from __future__ import annotations

from model.load import has_driver


def count() -> int:
    """Return the number of CUDA devices; 0 on a machine without, or with a CPU build of torch."""
    if not has_driver():
        return 0
    import torch

    return torch.cuda.device_count()
