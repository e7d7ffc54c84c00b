"""Find a checkpoint and verify it cheaply: no tensor is read, no torch imported.

A checkpoint is a folder in transformers' format: config.json, model.safetensors (or its shards),
the tokenizer's files and preprocessor_config.json (or processor_config.json). `families` says of
which architectures. A folder of sentence-transformers holds one, in a folder of its own.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from model.checkpoints import image_processor
from model.checkpoints.families import CLIP, FAMILIES, Family
from model.checkpoints.layouts import (
    CONFIG,
    GRAPHS,
    WEIGHTS_INDEX,
    Kind,
    clip_folder,
    convert_with,
    kind_of,
    read_json,
    refuse_pointer,
    unpack_with,
)
from model.checkpoints.weights import describe, hash_files, scale_and_bias, sizes_of
from model.checkpoints.weights_record import WeightsRecord
from model.config import Scores
from model.errors import CheckpointError
from model.images.geometry import Geometry

BUILTIN = "builtin"
BUILTIN_FOLDER = Path(__file__).parents[1] / "builtin"
# Where SageMaker unpacks an artifact.
PLATFORM_FOLDER = Path("/opt/ml/model")

SENTENCEPIECE = "spiece.model"
TOKENIZER_OPTIONS = ("tokenizer_config.json", "special_tokens_map.json")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(@[\w./-]+)?")


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
    def weights(self) -> WeightsRecord:
        """What its weights say beside their numbers; reads every file once if they are here."""
        return describe(self.folder, self.family)

    @cached_property
    def scores(self) -> Scores | None:
        """How its similarities become scores; None if the weights lack the scale."""
        scale, bias = scale_and_bias(self.folder)
        return None if scale is None else Scores(self.family.score, math.exp(scale), bias or 0.0)

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
        options = (self.folder / name for name in TOKENIZER_OPTIONS)
        files = [*tokenizer_files(self.folder), *(path for path in options if path.is_file())]
        digest.update(self.weights.sha256 + hash_files(files))
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
        if unpack := unpack_with(Path(model)):
            raise CheckpointError(f"{model} is a packed artifact; {unpack}")
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
    """Return the size of the weights in a folder, bytes; of its graphs if it has no weights.

    0 without either, or without a folder.
    """
    folder = Path(model)
    with suppress(CheckpointError):
        folder = clip_folder(folder)
    files = [*folder.glob("*.safetensors")] or [*folder.glob(f"{GRAPHS}/*/*.bin")]
    return sum(file.stat().st_size for file in files)


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
    sizes = sizes_of(folder, family)
    if (tokenizer := tokenizer_files(folder)[0]).name == "tokenizer.json":
        read_json(tokenizer)
    processor = image_processor.read(*_preprocessor(folder), sizes.image_sides, family)
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


def tokenizer_files(folder: Path) -> list[Path]:
    """Return the files that define the tokenizer.

    tokenizer.json, or spiece.model (sentencepiece's), or vocab.json and merges.txt.
    """
    if (folder / "tokenizer.json").is_file():
        return [folder / "tokenizer.json"]
    if (folder / SENTENCEPIECE).is_file():
        refuse_pointer(folder / SENTENCEPIECE)
        return [folder / SENTENCEPIECE]
    pair = [folder / "vocab.json", folder / "merges.txt"]
    missing = [path for path in pair if not path.is_file()]
    if len(missing) == len(pair):
        raise CheckpointError(f"{folder / 'tokenizer.json'} is missing")
    if missing:
        raise CheckpointError(f"{missing[0]} is missing")
    for path in pair:
        refuse_pointer(path)
    return pair


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
