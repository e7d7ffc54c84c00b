"""What a folder or a file holds, told by names; light: reads nothing but small JSON files."""

from __future__ import annotations

import json
import shlex
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any

from model.errors import CheckpointError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
PICKLE = "pytorch_model.bin"
PICKLE_INDEX = "pytorch_model.bin.index.json"
MODULES = "modules.json"
# Of graphs made from the weights: a folder for each precision, each with its manifest.
GRAPHS, MANIFEST = "openvino", "graphs.json"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
OPEN_CLIP_CONFIG = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
FILE_SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")
# Such as SageMaker's artifacts.
ARCHIVES = (".tar.gz", ".tgz", ".tar")
# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
# Modules of sentence-transformers after its CLIP that leave embeddings of unit norm as they are.
HARMLESS_MODULES = ("Normalize",)


class Kind(Enum):
    """The values are what people call them."""

    SERVED = "a checkpoint in transformers' format"
    PICKLED = "a checkpoint of transformers whose weights are pickles"
    SENTENCE_TRANSFORMERS = "a CLIP of sentence-transformers"
    ADAPTER = "an adapter of PEFT"
    OPEN_CLIP = "a checkpoint of open_clip"
    FILE = "a file of weights"


def kind_of(path: Path) -> Kind | None:
    """Return what a folder or a file holds, or None if it is nothing known.

    Raises:
        CheckpointError: modules.json of sentence-transformers is broken.
    """
    if path.is_file():
        return Kind.FILE if path.suffix in FILE_SUFFIXES else None
    if (path / CONFIG).is_file():
        if has_safetensors(path):
            return Kind.SERVED
        if _has(path, PICKLE, PICKLE_INDEX):
            return Kind.PICKLED
    if (path / ADAPTER_CONFIG).is_file():
        return Kind.ADAPTER
    if clip_folder(path) != path:
        return Kind.SENTENCE_TRANSFORMERS
    return Kind.OPEN_CLIP if (path / OPEN_CLIP_CONFIG).is_file() else None


def has_safetensors(folder: Path) -> bool:
    """Whether transformers' weights are there as safetensors."""
    return _has(folder, WEIGHTS, WEIGHTS_INDEX)


def clip_folder(folder: Path) -> Path:
    """Return the folder inside a folder of sentence-transformers that holds its CLIP.

    Any other folder is returned as it is.

    Raises:
        CheckpointError: modules.json is broken, leads elsewhere, or has more than a CLIP.
    """
    listed = folder / MODULES
    if not listed.is_file():
        return folder
    found = [_module(listed, one) for one in _list(listed)]
    paths = [path for kind, path in found if kind == "CLIPModel"]
    if not paths:
        return folder
    others = {kind for kind, _ in found} - {"CLIPModel", *HARMLESS_MODULES}
    if others or len(paths) > 1:
        more = min(others, default="a second CLIPModel")
        raise CheckpointError(f"{listed} adds {more} to its CLIP, which is not supported")
    return folder / paths[0]


def convert_with(source: Path | str) -> str:
    """Return how to convert a folder, a file or a hub id, for a message."""
    return f"convert it once: sweetspot convert {shlex.quote(str(source))} -o FOLDER"


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises CheckpointError: it is missing, no JSON, or no object."""
    value = _json(path)
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} does not hold a JSON object")
    return value


def refuse_pointer(path: Path) -> None:
    """Raise CheckpointError for a Git LFS pointer: a clone without LFS holds these for large files.

    Of a file that cannot be read, nothing is said here.
    """
    try:
        with path.open("rb") as file:
            is_pointer = file.read(len(LFS_POINTER)) == LFS_POINTER
    except OSError:
        return
    if is_pointer:
        raise CheckpointError(f"{path} is a Git LFS pointer; get the file itself: git lfs pull")


def unpack_with(path: Path) -> str | None:
    """Return how to unpack an archive, for a message; None if its name is not one's."""
    if not path.name.lower().endswith(ARCHIVES):
        return None
    quoted = shlex.quote(str(path))
    return f"unpack it: mkdir FOLDER && tar -xf {quoted} -C FOLDER"


def _has(folder: Path, *names: str) -> bool:
    return any((folder / name).is_file() for name in names)


def _list(path: Path) -> list[Any]:
    value = _json(path)
    if not isinstance(value, list):
        raise CheckpointError(f"{path} does not hold a JSON list")
    return value


def _module(listed: Path, one: Any) -> tuple[str, str]:
    """Return the last word of a module's type, and its folder."""
    kind, path = (one.get("type"), one.get("path")) if isinstance(one, dict) else (None, None)
    if not isinstance(kind, str) or not isinstance(path, str):
        raise CheckpointError(f"{listed} does not list modules with their type and path")
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise CheckpointError(f"{listed} names a module outside the folder: {path}")
    return kind.rpartition(".")[2], path


def _json(path: Path) -> Any:
    refuse_pointer(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise CheckpointError(f"{path} is missing") from exc
    except OSError as exc:
        raise CheckpointError(f"{path} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise CheckpointError(f"{path} is not valid JSON: {exc}") from exc
