"""A folder in transformers' layout whose weights are pickles, or that lies in another."""

from __future__ import annotations

import shutil
from pathlib import Path

from model.checkpoints.checkpoint import companions, family_of
from model.checkpoints.layouts import WEIGHTS_INDEX
from model.convert.plan import Plan
from model.convert.weights import read_folder
from model.fidelity.parity import Reference


def plan(folder: Path, words: str) -> Plan:
    """Plan the same checkpoint, its weights as safetensors. Raises CheckpointError."""
    family = family_of(folder)
    return Plan(
        path=folder,
        words=f"{words} ({family.words})",
        weights=read_folder(folder),
        write_rest=lambda target: copy_companions(folder, target),
        source=lambda *_: Reference(folder),
    )


def copy_companions(folder: Path, target: Path) -> None:
    """Copy all files of a checkpoint but its weights."""
    for path in companions(folder):
        if path.name != WEIGHTS_INDEX:
            shutil.copyfile(path, target / path.name)
