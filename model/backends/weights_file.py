"""Writing of weights into an artifact's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file


def write_weights(weights: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write safetensors. Raises OSError."""
    # A copy each: safetensors takes no two tensors of one storage.
    copies = {name: one.detach().clone().contiguous() for name, one in weights.items()}
    path.touch()
    mode = path.stat().st_mode
    try:
        save_file(copies, path, metadata={"format": "pt"})
        path.chmod(mode)  # the library's own is for its owner alone
    except SafetensorError as exc:
        raise OSError(f"the weights cannot be written; is the disk full? ({exc})") from exc
