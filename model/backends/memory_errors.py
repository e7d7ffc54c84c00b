"""Translation of torch's errors for lack of memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from model.errors import OutOfMemory

# Messages of a RuntimeError for lack of memory: from the CPU allocator, from CUDA itself (such as
# for pinned memory), and from cuBLAS and cuDNN, which do not use torch's allocator.
MEMORY_WORDS = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise OutOfMemory for torch's errors when weights or a batch do not fit."""
    try:
        yield
    except torch.OutOfMemoryError as exc:
        raise OutOfMemory("it does not fit into the device's memory") from exc
    except RuntimeError as exc:
        if not any(words in str(exc) for words in MEMORY_WORDS):
            raise
        raise OutOfMemory("it does not fit into memory") from exc
