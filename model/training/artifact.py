"""The artifact of a training: a checkpoint with graphs, as `serve` takes it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from model.backends.weights_file import write_weights
from model.checkpoints.checkpoint import Checkpoint, companions, verify
from model.checkpoints.layouts import CONFIG, WEIGHTS, WEIGHTS_INDEX, read_json
from model.errors import TrainingError
from model.fidelity.exported import export
from model.files import check_folder

REPORT = "training.json"
# The names under which versions of transformers say which precision the weights have.
PRECISIONS = ("dtype", "torch_dtype")


def check_output(folder: Path) -> None:
    """Check, before long work, that an artifact could be written. Leaves nothing behind.

    Raises:
        TrainingError: the folder is not empty.
        OSError: it cannot be written.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise TrainingError(f"{folder} is not empty; choose another folder")
    check_folder(folder)


def write_checkpoint(
    base: Checkpoint, weights: Mapping[str, torch.Tensor], folder: Path
) -> Checkpoint:
    """Write weights, float32, with the base's tokenizer and preprocessing, and the graphs.

    Returns:
        The checkpoint in `folder`.

    Raises:
        OSError: it cannot be written. CheckpointError: it is not what it should be.
    """
    for path in companions(base.folder):
        if path.name not in (CONFIG, WEIGHTS_INDEX):
            shutil.copyfile(path, folder / path.name)
    config = read_json(base.folder / CONFIG)
    config |= {name: "float32" for name in PRECISIONS if name in config}
    write_json(folder / CONFIG, config)
    write_weights(weights, folder / WEIGHTS)
    checkpoint = verify(folder)
    export(checkpoint, folder)
    return checkpoint


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write an object as JSON, a line for each of its entries."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
