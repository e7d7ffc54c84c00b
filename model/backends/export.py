"""Atomic writing of graphs into an artifact's folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from model.backends.runtime import openvino
from model.checkpoints.checkpoint import Checkpoint, companions, verify
from model.checkpoints.graphs import (
    TOKENIZER,
    GraphPrecision,
    Graphs,
    graphs_folder,
    read,
    write_manifest,
)
from model.checkpoints.tokenizer import Tokenizer
from model.checkpoints.weights import weight_files
from model.encoder import TowerName
from model.errors import CheckpointError
from model.files import whole_files, whole_folder


def copy_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Copy the files of a checkpoint to a folder: no links, pickles or unknown files.

    Raises:
        CheckpointError: other files in the folder would change the checkpoint. Nothing is copied.
    """
    with whole_files(folder) as copies:
        for path in [*weight_files(checkpoint.folder), *companions(checkpoint.folder)]:
            target = folder / path.name
            if not target.exists() or not target.samefile(path):
                shutil.copyfile(path, copies / path.name)
        if _digest_together(folder, copies) != checkpoint.digest:
            raise CheckpointError(
                f"{folder} holds files of another checkpoint; choose an empty folder"
            )


def save(
    artifact: Path,
    precision: GraphPrecision,
    checkpoint: Checkpoint,
    towers: Mapping[TowerName, Any],
    tokenizer: Tokenizer,
    fidelity: dict[str, Any] | None = None,
    check: Callable[[Graphs], None] = lambda _: None,
) -> Path:
    """Save both towers, `image` and `text`, and the checkpoint if it is in another folder.

    Old graphs stay until the new ones are written and `check` has raised no error for them.

    Returns:
        The folder of the graphs.

    Raises:
        OSError: they cannot be written. CheckpointError: as `copy_checkpoint`.
    """
    target = graphs_folder(artifact, precision)
    with whole_folder(target) as folder:
        _write(folder, towers, tokenizer)
        write_manifest(folder, checkpoint, tokenizer.end, fidelity, tokenizer.pad)
        check(read(folder, checkpoint, precision))
        copy_checkpoint(checkpoint, artifact)
    return target


def _write(folder: Path, towers: Mapping[TowerName, Any], tokenizer: Tokenizer) -> None:
    try:
        for name, graph in towers.items():
            # The default would round the weights to float16.
            openvino.save_model(graph, folder / f"{name}.xml", compress_to_fp16=False)
        tokenizer.save(folder / TOKENIZER)
    except Exception as exc:  # neither library raises an OSError or gives the reason
        raise OSError(f"the graphs cannot be written; is the disk full? ({exc})") from exc


def _digest_together(old: Path, new: Path) -> str | None:
    """Return the digest of the checkpoint that old and new files would form, or None."""
    files = {path.name: path for path in (*old.iterdir(), *new.iterdir()) if path.is_file()}
    with tempfile.TemporaryDirectory() as name, suppress(CheckpointError):
        for path in files.values():
            (Path(name) / path.name).symlink_to(path.resolve())
        return verify(Path(name)).digest
    return None
