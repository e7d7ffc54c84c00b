"""Find a checkpoint and verify it cheaply: no tensor is read, no torch imported.

A checkpoint is a folder in transformers' format: config.json, model.safetensors (or its shards),
the tokenizer's files and preprocessor_config.json (or processor_config.json). `families` says of
which architectures. A folder of sentence-transformers holds one, in a folder of its own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from model.checkpoints import image_processor
from model.checkpoints.families import CLIP, FAMILIES, Family, Shapes, Sizes
from model.checkpoints.layouts import (
    CONFIG,
    OPEN_CLIP_WEIGHTS,
    PICKLE,
    PICKLE_INDEX,
    WEIGHTS,
    WEIGHTS_INDEX,
    Kind,
    clip_folder,
    convert_with,
    kind_of,
    read_json,
)
from model.errors import CheckpointError
from model.images.geometry import Geometry

BUILTIN = "builtin"
BUILTIN_FOLDER = Path(__file__).parents[1] / "builtin"
# Where SageMaker unpacks an artifact.
PLATFORM_FOLDER = Path("/opt/ml/model")

PICKLES = (PICKLE, PICKLE_INDEX, OPEN_CLIP_WEIGHTS[1])
SENTENCEPIECE = "spiece.model"
TOKENIZER_OPTIONS = ("tokenizer_config.json", "special_tokens_map.json")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(@[\w./-]+)?")
# safetensors' own limit.
MAX_HEADER_BYTES = 100_000_000


@dataclass(frozen=True)
class Checkpoint:
    """A verified folder and the sizes found in it.

    geometry: how an image becomes S x S px. dimension: D. context_length: tokens. mean, std: RGB,
    of pixels / 255.
    """

    folder: Path
    name: str
    family: Family
    geometry: Geometry
    dimension: int
    context_length: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def image_size(self) -> int:
        """S, px."""
        return self.geometry.size

    @cached_property
    def digest(self) -> str:
        """Hex digest over weights, architecture, sizes and tokenizer; reads every file once."""
        digest = hashlib.sha256()
        facts = [self.image_size, self.mean, self.std]
        facts.append(_architecture(read_json(self.folder / CONFIG)))
        if self.geometry != Geometry.clip(self.image_size):
            facts.append(self.geometry)
        if self.family is not CLIP:
            facts.append(self.family.name)
        digest.update(json.dumps(facts, sort_keys=True).encode())
        files = weight_files(self.folder) + tokenizer_files(self.folder)
        options = (self.folder / name for name in TOKENIZER_OPTIONS)
        digest.update(hash_files([*files, *(path for path in options if path.is_file())]))
        return digest.hexdigest()


def locate(model: str | None) -> Path | str:
    """Return the folder that `model` names, or the hub id.

    None means the platform's folder if it is not empty, else the built-in checkpoint.

    Raises:
        CheckpointError: `model` is not an existing folder and does not look like a hub id.
    """
    if model is None:
        held = PLATFORM_FOLDER.is_dir() and any(PLATFORM_FOLDER.iterdir())
        return PLATFORM_FOLDER if held else BUILTIN_FOLDER
    if model == BUILTIN:
        return BUILTIN_FOLDER
    if Path(model).is_dir():
        return Path(model)
    if Path(model).exists():
        how = f"; {convert_with(model)}" if kind_of(Path(model)) is Kind.FILE else ""
        raise CheckpointError(f"{model} is a file; a checkpoint is a folder{how}")
    if HUB_ID.fullmatch(model):
        return model
    raise CheckpointError(
        f"{model}: no such folder, and not a hub id (owner/name or owner/name@revision)"
    )


def verify(folder: Path, name: str | None = None) -> Checkpoint:
    """Check that the folder holds a complete checkpoint of a known family and read its sizes.

    Raises:
        CheckpointError: the message says in one sentence which file is wrong, and how.
    """
    try:
        return _verify(folder, name)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise CheckpointError(f"{folder} is not a checkpoint: {exc}") from exc


def weights_bytes(model: str) -> int:
    """Return the size of the weights in a folder, bytes; 0 without weights or without a folder."""
    folder = Path(model)
    with suppress(CheckpointError):
        folder = clip_folder(folder)
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def family_of(folder: Path) -> Family:
    """Read the family from config.json. Raises CheckpointError: it is not a known one."""
    config = read_json(folder / CONFIG)
    family = FAMILIES.get(str(config.get("model_type")))
    if family is None:
        raise CheckpointError(
            f"{folder / CONFIG} describes a model of type "
            f"{config.get('model_type')!r}; served are {', '.join(map(repr, FAMILIES))}"
        )
    return family


def _verify(given: Path, name: str | None) -> Checkpoint:
    folder = clip_folder(given)
    kind = kind_of(folder)
    if kind in (Kind.ADAPTER, Kind.OPEN_CLIP):
        raise CheckpointError(
            f"{folder} holds {kind.value}, which is not served as it is; {convert_with(folder)}"
        )
    family = family_of(folder)
    sizes = _sizes(folder, family)
    tokenizer_files(folder)
    processor = image_processor.read(*_preprocessor(folder), sizes.image_size, family)
    return Checkpoint(
        folder=folder,
        name=name or (BUILTIN if folder == BUILTIN_FOLDER else given.resolve().name),
        family=family,
        geometry=processor.geometry,
        dimension=sizes.image,
        context_length=sizes.context_length,
        mean=processor.mean,
        std=processor.std,
    )


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of the folder, in a stable order."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / WEIGHTS_INDEX).is_file():
        names = sorted(set(read_json(folder / WEIGHTS_INDEX)["weight_map"].values()))
        if any(name != Path(name).name for name in names):
            raise CheckpointError(f"{folder / WEIGHTS_INDEX} names files outside the folder")
        return [folder / name for name in names]
    pickles = [name for name in PICKLES if (folder / name).exists()]
    if pickles:
        raise CheckpointError(
            f"{folder / pickles[0]} is a pickle, and pickles are not served; {convert_with(folder)}"
        )
    raise CheckpointError(
        f"{folder / WEIGHTS} is missing; if the weights are in another format, "
        f"{convert_with(folder)}"
    )


def tokenizer_files(folder: Path) -> list[Path]:
    """Return the files that define the tokenizer.

    tokenizer.json, or spiece.model (sentencepiece's), or vocab.json and merges.txt.
    """
    if (folder / "tokenizer.json").is_file():
        read_json(folder / "tokenizer.json")
        return [folder / "tokenizer.json"]
    if (folder / SENTENCEPIECE).is_file():
        return [folder / SENTENCEPIECE]
    pair = [folder / "vocab.json", folder / "merges.txt"]
    missing = [path for path in pair if not path.is_file()]
    if len(missing) == len(pair):
        raise CheckpointError(f"{folder / 'tokenizer.json'} is missing")
    if missing:
        raise CheckpointError(f"{missing[0]} is missing")
    return pair


def hash_files(paths: Iterable[Path]) -> bytes:
    """Return the SHA-256 digests of the files, concatenated."""
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").digest())
    return b"".join(digests)


def companions(folder: Path) -> list[Path]:
    """Return the files, other than the weights, that some version of transformers reads."""
    names = (CONFIG, "tokenizer.json", "vocab.json", "merges.txt", SENTENCEPIECE)
    more = (*TOKENIZER_OPTIONS, "preprocessor_config.json", "processor_config.json", WEIGHTS_INDEX)
    return [folder / name for name in (*names, *more) if (folder / name).is_file()]


def fingerprint(checkpoint: Checkpoint, preprocessing: str, quantized: str = "") -> str:
    """Return 16 hex digits over checkpoint and policy. quantized: digest of int8 graphs."""
    facts = json.dumps([checkpoint.digest, preprocessing, quantized])
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _architecture(config: dict[str, Any]) -> list[Any]:
    """Return the settings that change an embedding but are not visible in the weights."""
    keys = ("hidden_act", "num_attention_heads", "layer_norm_eps", "eos_token_id")
    # Old configurations have the `_dict` forms, which take precedence.
    towers = [
        (config.get(tower) or {}) | (config.get(f"{tower}_dict") or {})
        for tower in ("text_config", "vision_config")
    ]
    return [[tower.get(key) for key in keys] for tower in towers]


def _weight_shapes(folder: Path) -> Shapes:
    shapes: dict[str, tuple[int, ...]] = {}
    for path in weight_files(folder):
        try:
            shapes |= _read_header(path)
        except FileNotFoundError as exc:
            raise CheckpointError(f"{path} is missing") from exc
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise CheckpointError(f"{path} is damaged or half-written: {exc}") from exc
        except OSError as exc:
            raise CheckpointError(f"{path} cannot be read: {exc.strerror}") from exc
    return shapes


def _read_header(path: Path) -> dict[str, tuple[int, ...]]:
    """Read shapes by name from the header of a safetensors file, and check the file's length.

    The library's own reader imports NumPy. Format: a little-endian uint64 length, that many
    bytes of JSON, then the tensors (https://github.com/huggingface/safetensors#format).
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(size - 8, MAX_HEADER_BYTES):
            raise ValueError(f"{size} bytes cannot hold its header")
        header = json.loads(file.read(length))
    tensors = {name: one for name, one in header.items() if name != "__metadata__"}
    expected = 8 + length + max((one["data_offsets"][1] for one in tensors.values()), default=0)
    if size != expected:
        raise ValueError(f"{size} bytes of {expected}")
    return {name: tuple(one["shape"]) for name, one in tensors.items()}


def _sizes(folder: Path, family: Family) -> Sizes:
    """Read the sizes from the shapes of the weights."""
    shapes = _weight_shapes(folder)
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


def _preprocessor(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return the image processor's file and settings, found as transformers 5 finds them.

    Version 5 saves all processors in one file; older versions save the image processor alone.
    """
    own, whole = folder / "preprocessor_config.json", folder / "processor_config.json"
    found = read_json(whole).get("image_processor") if whole.is_file() else None
    if found is None and (own.is_file() or not whole.is_file()):
        return own, read_json(own)
    if not isinstance(found, dict):
        raise CheckpointError(f"{whole} holds no image_processor")
    return whole, found
