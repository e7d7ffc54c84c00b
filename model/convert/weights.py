"""Tensors from the files of others; a pickle is read for its tensors alone, and runs nothing."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from model.checkpoints.layouts import (
    PICKLE,
    PICKLE_INDEX,
    has_safetensors,
    read_json,
    refuse_pointer,
)
from model.checkpoints.weights import weight_files
from model.convert.archive import entries, is_torchscript, is_zip
from model.convert.torchscript import read_torchscript
from model.errors import CheckpointError

# torch's words for what a pickle names and weights do not need.
NAMED = re.compile(r"GLOBAL `?([\w.]+)")
# Buffers of old versions of transformers, which are no weights.
BUFFERS = ("embeddings.position_ids",)


def read_file(path: Path) -> dict[str, Any]:
    """Read what a file holds by name: safetensors, a pickle, or an archive of TorchScript.

    Raises:
        CheckpointError: it is missing, damaged, or needs more than tensors and plain values.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is missing")
    refuse_pointer(path)
    try:
        return _read(path)
    except OSError as exc:  # also of a damaged zip, which leads outside
        raise CheckpointError(f"{path} cannot be read: {exc.strerror or exc}") from exc


def tensors(path: Path, held: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Check that all that a file holds is tensors, and that they are as large as they say.

    Raises:
        CheckpointError: it has anything else.
    """
    for name, one in held.items():
        if not isinstance(one, torch.Tensor) or one.layout != torch.strided:
            raise CheckpointError(f"{path} holds {name}, which is no plain tensor")
        if one.numel() * one.itemsize > one.untyped_storage().nbytes():
            raise CheckpointError(f"{path} holds less of {name} than its shape says")
    return dict(held)


def read_folder(folder: Path) -> dict[str, torch.Tensor]:
    """Read the weights of a folder in transformers' layout, in one file or in shards.

    Raises:
        CheckpointError: as `read_file`, or the index names other files.
    """
    files = weight_files(folder) if has_safetensors(folder) else _pickles(folder)
    found: dict[str, torch.Tensor] = {}
    for path in files:
        found |= tensors(path, read_file(path))
    return {name: one for name, one in found.items() if not name.endswith(BUFFERS)}


def _read(path: Path) -> dict[str, Any]:
    if path.suffix == ".safetensors":
        return _safetensors(path)
    if is_torchscript(path):
        return dict(read_torchscript(path))
    held = _pickled(path)
    if not isinstance(held, Mapping) or not all(isinstance(name, str) for name in held):
        raise CheckpointError(f"{path} does not hold weights by name")
    return dict(held)


def _safetensors(path: Path) -> dict[str, Any]:
    try:
        return dict(load_file(path))
    except SafetensorError as exc:
        raise CheckpointError(f"{path} is damaged or half-written: {exc}") from exc


def _pickles(folder: Path) -> list[Path]:
    if (folder / PICKLE).is_file():
        return [folder / PICKLE]
    index = read_json(folder / PICKLE_INDEX).get("weight_map")
    names = set(index.values()) if isinstance(index, dict) else set()
    if not names or any(not isinstance(name, str) or Path(name).name != name for name in names):
        raise CheckpointError(f"{folder / PICKLE_INDEX} does not name files of the folder")
    return [folder / name for name in sorted(names)]


def _pickled(path: Path) -> Any:
    """Read a pickle of tensors and plain values. Its own code is never run."""
    whole = is_zip(path)
    if whole:
        entries(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats
            return torch.load(path, map_location="cpu", weights_only=True, mmap=whole)
    except UnpicklingError as exc:
        if named := NAMED.search(str(exc)):
            raise CheckpointError(
                f"{path} needs {named[1]}, which is more than weights; nothing of it was run"
            ) from exc
        raise CheckpointError(f"{path} holds no weights, or is damaged") from exc
    except (MemoryError, OSError):
        raise
    except Exception as exc:  # a damaged pickle raises nearly every type, and says little
        raise CheckpointError(f"{path} holds no weights, or is damaged") from exc
