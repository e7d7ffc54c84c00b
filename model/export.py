"""Write graphs into an artifact's folder: whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.checkpoint import Checkpoint, companions, verify, weight_files
from model.encoder import TowerName
from model.errors import CheckpointError
from model.files import whole_folder
from model.graphs import TOKENIZER, GraphPrecision, graphs_folder, write_manifest
from model.runtime import openvino
from model.tokenizer import Tokenizer


def copy_checkpoint(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """Copy the files of a checkpoint to a folder: no links, no pickles, nothing unknown.

    Returns the copy. Raises CheckpointError when other files in the folder make it another one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in [*weight_files(checkpoint.folder), *companions(checkpoint.folder)]:
        target = folder / path.name
        if not target.exists() or not target.samefile(path):
            shutil.copyfile(path, target)
    copy = verify(folder)
    if copy.digest != checkpoint.digest:
        raise CheckpointError(f"{folder} holds files of another checkpoint; choose an empty folder")
    return copy


def save(
    artifact: Path,
    precision: GraphPrecision,
    checkpoint: Checkpoint,
    towers: Mapping[TowerName, Any],
    tokenizer: Tokenizer,
    fidelity: dict[str, Any] | None = None,
) -> Path:
    """Save both towers, `image` and `text`, in place of an earlier save. Returns the folder."""
    target = graphs_folder(artifact, precision)
    with whole_folder(target) as folder:
        for name, graph in towers.items():
            # Its own default would round the weights to float16.
            openvino.save_model(graph, folder / f"{name}.xml", compress_to_fp16=False)
        tokenizer.save(folder / TOKENIZER)
        write_manifest(folder, checkpoint, tokenizer.end, fidelity)
    return target
