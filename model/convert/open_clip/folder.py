"""A folder of open_clip: its settings, its weights, and how it prepares images.

open_clip has many models. Each kind that is converted checks its own settings, and every one that
may change what the model computes is refused by its name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from model.checkpoints.layouts import OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS, read_json
from model.convert.weights import read_file, tensors
from model.errors import CheckpointError
from model.images.geometry import FILTERS

# Prefixes of names: of a training on several devices, and of a text tower in a module of its own.
WRAPPINGS = ("module.", "text.")
# What a file of a training holds the weights under.
STATE = "state_dict"
# Other kinds of models, by the setting that says so.
OTHERS = {
    "timm_model_name": "timm's image tower {!r}",
    "hf_model_name": "Hugging Face's text tower {!r}",
    "multimodal_cfg": "a CoCa",
}
MODES = {"shortest", "squash"}
INTERPOLATIONS = {"bicubic": "bicubic", "bilinear": "bilinear", "random": "bicubic"}


def read_config(folder: Path) -> dict[str, Any]:
    """Read open_clip_config.json: model_cfg with both towers, and preprocess_cfg.

    Raises:
        CheckpointError: it is broken.
    """
    path = folder / OPEN_CLIP_CONFIG
    config = read_json(path)
    model = _part(path, config, "model_cfg")
    _part(path, model, "vision_cfg")
    _part(path, model, "text_cfg")
    return config


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Read the weights, without wrappings of their names. Raises CheckpointError."""
    path = next((folder / name for name in OPEN_CLIP_WEIGHTS if (folder / name).is_file()), None)
    if path is None:
        raise CheckpointError(f"{folder / OPEN_CLIP_WEIGHTS[0]} is missing")
    held = read_file(path)
    inner = held.get(STATE)
    found = tensors(path, inner if isinstance(inner, Mapping) else held)
    for prefix in WRAPPINGS:
        found = {name.removeprefix(prefix): one for name, one in found.items()}
    return found


def refuse_others(
    folder: Path,
    config: Mapping[str, Any],
    free: Collection[str],
    fixed: Mapping[str, Sequence[Any]],
) -> None:
    """Refuse every setting that may change what a model computes. Unset is false, none or empty.

    free: settings of any value. fixed: the values of others that are allowed.

    Raises:
        CheckpointError: it names the kind of model that a setting stands for, or the setting.
    """
    path, model = folder / OPEN_CLIP_CONFIG, config["model_cfg"]
    found = [
        (key, value)
        for part in (model, model["vision_cfg"], model["text_cfg"])
        for key, value in part.items()
        if value and key not in free and value not in fixed.get(key, ())
    ]
    for key, value in found:
        if key in OTHERS:
            what = OTHERS[key].format(value)
            raise CheckpointError(f"{path} describes {what}, which is not supported yet")
    for key, value in found:
        raise CheckpointError(f'{path}: "{key}" is {value!r}, which is not supported')


def compare_sizes(path: Path, sizes: Mapping[str, tuple[Any, int]]) -> None:
    """Compare what the configuration says with what the weights say. Raises CheckpointError."""
    for key, (said, found) in sizes.items():
        if said != found:
            raise CheckpointError(f'{path}: "{key}" is {said!r}, and the weights say {found}')


def divisor(path: Path, key: str, value: Any, width: int) -> int:
    """Return a number of heads that divides the channels. Raises CheckpointError."""
    if type(value) is not int or value < 1 or width % value:
        raise CheckpointError(f'{path}: "{key}" is {value!r}, which does not divide {width}')
    return value


def processor_of(folder: Path, config: Mapping[str, Any], side: int) -> dict[str, Any]:
    """Return the keys of preprocessor_config.json that are not OpenAI's. side: S, px.

    Raises:
        CheckpointError: images are prepared in a way that is not supported.
    """
    path = folder / OPEN_CLIP_CONFIG
    found = config.get("preprocess_cfg") or {}
    mode = found.get("resize_mode") or "shortest"
    interpolation = found.get("interpolation") or "bicubic"
    if mode not in MODES or interpolation not in INTERPOLATIONS:
        raise CheckpointError(
            f"{path} prepares images with resize_mode {mode!r} and interpolation "
            f"{interpolation!r}; supported are shortest or squash, and bicubic or bilinear"
        )
    changes = {"resample": FILTERS.index(INTERPOLATIONS[interpolation])}
    whole = {"size": {"height": side, "width": side}, "do_center_crop": False}
    colours = {
        f"image_{name}": found[name] for name in ("mean", "std") if found.get(name) is not None
    }
    return {**changes, **(whole if mode == "squash" else {}), **colours}


def _part(path: Path, config: Mapping[str, Any], key: str) -> dict[str, Any]:
    part = config.get(key)
    if not isinstance(part, dict):
        raise CheckpointError(f'{path} has no "{key}"')
    return part
