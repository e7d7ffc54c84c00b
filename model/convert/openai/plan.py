"""Plans for weights with OpenAI's names: from its own file, or from a folder of open_clip."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.families import CLIP_IMAGES
from model.checkpoints.layouts import CONFIG, OPEN_CLIP_WEIGHTS
from model.checkpoints.tokenizer import Tokenizer
from model.convert.archive import is_torchscript
from model.convert.open_clip.folder import STATE, processor_of, read_config, read_weights
from model.convert.openai import convnext
from model.convert.openai.form import Form
from model.convert.openai.names import (
    checked,
    config_of,
    renamed,
    standard_form,
    tower_of,
)
from model.convert.openai.reference import OpenAiClip
from model.convert.openai.settings import check_settings, form_of
from model.convert.openai.tokenizer import write_processor, write_tokenizer
from model.convert.plan import Plan, Weights
from model.convert.weights import read_file, tensors
from model.errors import CheckpointError
from model.images.preprocess import ImagePreprocessing


def plan_file(path: Path) -> Plan:
    """Plan a file that OpenAI distributes, or a state dict of its model. Raises CheckpointError."""
    held = read_file(path)
    if isinstance(held.get(STATE), Mapping):
        raise CheckpointError(
            f"{path} is from a training, and does not say which activation its model has; put it "
            f"as {OPEN_CLIP_WEIGHTS[1]} into a folder with open_clip_config.json, and convert that"
        )
    weights = checked(path, tensors(path, held))
    if tower_of(weights) is convnext:
        raise CheckpointError(
            f"{path} is of a ConvNeXt, and does not say which pictures it takes; convert the "
            "folder with open_clip_config.json that it is from"
        )
    what = "OpenAI's archive of TorchScript" if _is_archive(path) else "a state dict of OpenAI's"
    return _plan(path, what, weights, standard_form(weights), {})


def plan_open_clip(folder: Path) -> Plan:
    """Plan a folder of open_clip. Raises CheckpointError."""
    config = read_config(folder)
    check_settings(folder, config)
    weights = checked(folder, read_weights(folder))
    form = form_of(folder, config, weights)
    changes = processor_of(folder, config, form.image_size)
    return _plan(folder, "a checkpoint of open_clip", weights, form, changes)


def _is_archive(path: Path) -> bool:
    return path.suffix != ".safetensors" and is_torchscript(path)


def _plan(
    path: Path, what: str, weights: Weights, form: Form, processor: Mapping[str, Any]
) -> Plan:
    config, side = config_of(weights, form), form.image_size

    def write_rest(folder: Path) -> None:
        (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
        write_tokenizer(folder, config["text_config"]["max_position_embeddings"])
        write_processor(folder, side, processor)

    return Plan(
        path=path,
        words=f"{what}: {tower_of(weights).words(weights)}, images of {side} px, {form.activation}",
        weights=renamed(weights),
        write_rest=write_rest,
        source=lambda checkpoint, tokenizer: _source(
            checkpoint, tokenizer, weights, form, {**CLIP_IMAGES, **processor}
        ),
    )


def _source(
    checkpoint: Checkpoint,
    tokenizer: Tokenizer,
    weights: Weights,
    form: Form,
    processor: Mapping[str, Any],
) -> OpenAiClip:
    """Return OpenAI's model with the pixels and tokens of the written checkpoint."""

    def tokens(texts: Sequence[str]) -> NDArray[np.int64]:
        return _padded(tokenizer(texts)[0], tokenizer.end, checkpoint.context_length)

    return OpenAiClip(
        weights,
        form,
        ImagePreprocessing(checkpoint.geometry, "reference"),
        tokens,
        (processor["image_mean"], processor["image_std"]),
    )


def _padded(ids: NDArray[np.int64], end: int, length: int) -> NDArray[np.int64]:
    """Fill up to the context with zeros after the end token, as OpenAI does. ids: int64 [N, L]."""
    full = np.zeros((len(ids), length), dtype=np.int64)
    after = np.cumsum(ids == end, axis=1) - (ids == end) > 0
    full[:, : ids.shape[1]] = np.where(after, 0, ids)
    return full
