"""The cards that a training can use."""

from __future__ import annotations

import torch


def count() -> int:
    """Return the number of CUDA devices; 0 on a machine without, or with a CPU build of torch."""
    return torch.cuda.device_count()
