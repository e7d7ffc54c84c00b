"""The files of a checkpoint's weights, and what is read of them: no tensor, but single numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from model.checkpoints.families import Family, Sizes
from model.checkpoints.layouts import (
    GRAPHS,
    OPEN_CLIP_WEIGHTS,
    PICKLE,
    PICKLE_INDEX,
    WEIGHTS,
    WEIGHTS_INDEX,
    convert_with,
    has_safetensors,
    read_json,
    refuse_pointer,
)
from model.checkpoints.safetensors_header import Header, read_header
from model.checkpoints.weights_record import WeightsRecord, read_record
from model.errors import CheckpointError

PICKLES = (PICKLE, PICKLE_INDEX, OPEN_CLIP_WEIGHTS[1])
# Weights of one number: the logarithm of the scale, and the bias of a sigmoid.
SCALE, BIAS = "logit_scale", "logit_bias"


def describe(folder: Path, family: Family) -> WeightsRecord:
    """Return what the weights say beside their numbers. Reads every file once if they are here.

    Raises:
        CheckpointError: they are missing or damaged.
    """
    if (record := recorded(folder)) is not None:
        return record
    scale, bias = scale_and_bias(folder)
    return WeightsRecord(sizes_of(folder, family), hash_files(weight_files(folder)), scale, bias)


def scale_and_bias(folder: Path) -> tuple[float | None, float | None]:
    """Return the logarithm of the scale of scores, and their bias; None for what is not there."""
    if (record := recorded(folder)) is not None:
        return record.scale, record.bias
    headers = _headers(folder)
    return _number(headers, SCALE), _number(headers, BIAS)


def kept_weight_files(folder: Path) -> list[Path]:
    """Return the same as `weight_files`, or nothing where graphs serve without the weights."""
    return [] if recorded(folder) else weight_files(folder)


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of the folder, in a stable order.

    Raises:
        CheckpointError: there are none; the message says what may be there instead.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / WEIGHTS_INDEX).is_file():
        names = sorted(set(read_json(folder / WEIGHTS_INDEX)["weight_map"].values()))
        if any(name != Path(name).name for name in names):
            raise CheckpointError(f"{folder / WEIGHTS_INDEX} names files outside the folder")
        return [folder / name for name in names]
    if recorded(folder):
        raise CheckpointError(
            f"{folder / WEIGHTS} is missing: without it only the graphs in {folder / GRAPHS} "
            "run, on a CPU in their own precision"
        )
    pickles = [name for name in PICKLES if (folder / name).exists()]
    if pickles:
        raise CheckpointError(
            f"{folder / pickles[0]} is a pickle, and pickles are not served; {convert_with(folder)}"
        )
    raise CheckpointError(
        f"{folder / WEIGHTS} is missing; if the weights are in another format, "
        f"{convert_with(folder)}"
    )


def hash_files(paths: Iterable[Path]) -> bytes:
    """Return the SHA-256 digests of the files, concatenated."""
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").digest())
    return b"".join(digests)


def recorded(folder: Path) -> WeightsRecord | None:
    """Return what the graphs keep of weights that are not in the folder; None if any are."""
    has_weights = has_safetensors(folder) or any((folder / name).exists() for name in PICKLES)
    return None if has_weights else read_record(folder)


def _headers(folder: Path) -> list[Header]:
    """Read the headers of the weights. Raises CheckpointError: a file is missing or damaged."""
    found = []
    for path in weight_files(folder):
        refuse_pointer(path)
        try:
            found.append(read_header(path))
        except FileNotFoundError as exc:
            raise CheckpointError(f"{path} is missing") from exc
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise CheckpointError(f"{path} is damaged or half-written: {exc}") from exc
        except OSError as exc:
            raise CheckpointError(f"{path} cannot be read: {exc.strerror}") from exc
    return found


def _number(headers: Iterable[Header], name: str) -> float | None:
    found = (one.number(name) for one in headers)
    return next((number for number in found if number is not None), None)


def sizes_of(folder: Path, family: Family) -> Sizes:
    """Read the sizes from the shapes of the weights. Raises CheckpointError."""
    if (record := recorded(folder)) is not None:
        return record.sizes
    shapes: dict[str, tuple[int, ...]] = {}
    for header in _headers(folder):
        shapes |= header.shapes()
    try:
        sizes = family.sizes(shapes)
    except LookupError as exc:
        raise CheckpointError(
            f"{folder / WEIGHTS} holds no {exc}: not the weights of a whole model"
        ) from exc
    if sizes.image != sizes.text:
        raise CheckpointError(
            f"{folder / WEIGHTS} embeds images in {sizes.image} and texts in {sizes.text} "
            "dimensions"
        )
    return sizes
