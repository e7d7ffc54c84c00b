"""The configuration of a folder of open_clip: what it says of the model and of its images.

open_clip has many models. Supported are those with OpenAI's two towers, and every setting that
would change what they compute is refused by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from model.checkpoints.layouts import OPEN_CLIP_CONFIG, read_json
from model.convert.openai.names import ENTRIES, Form, text_width, tower_of
from model.convert.plan import Weights
from model.errors import CheckpointError
from model.images.geometry import FILTERS

# Prefixes of names: of a training on several devices, and of a text tower in a module of its own.
WRAPPINGS = ("module.", "text.")
# What open_clip calls a model that is not OpenAI's two towers, by the setting that says so.
OTHERS = {
    "timm_model_name": "a timm image tower",
    "hf_model_name": "a text tower of Hugging Face's",
    "multimodal_cfg": "a CoCa",
}
# Settings of training, or that the shapes of the weights say as well.
FREE = {
    "embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text", "init_logit_scale",
    "output_dict", "cast_dtype", "layers", "width", "head_width", "heads", "mlp_ratio",
    "patch_size", "image_size", "context_length", "vocab_size", "patch_dropout", "output_tokens",
    "eos_id", "pad_id", "tokenizer_mode",
}  # fmt: skip
# The only values that leave OpenAI's towers as they are.
FIXED: Mapping[str, tuple[Any, ...]] = {
    "pos_embed_type": ("learnable",),
    "pool_type": ("tok", "argmax"),
    "proj_type": ("linear",),
    "model_type": ("clip",),
}
MODES = {"shortest", "squash"}
INTERPOLATIONS = {"bicubic": "bicubic", "bilinear": "bilinear", "random": "bicubic"}


def read_config(folder: Path) -> dict[str, Any]:
    """Read open_clip_config.json: model_cfg with both towers, and preprocess_cfg.

    Raises:
        CheckpointError: it is broken, or describes a model that is not OpenAI's two towers.
    """
    path = folder / OPEN_CLIP_CONFIG
    config = read_json(path)
    model = _part(path, config, "model_cfg")
    for part in (model, _part(path, model, "vision_cfg"), _part(path, model, "text_cfg")):
        _check(path, part)
    return config


def without_wrapping(source: Weights) -> dict[str, torch.Tensor]:
    """Return weights by OpenAI's names."""
    found = dict(source)
    for prefix in WRAPPINGS:
        found = {name.removeprefix(prefix): one for name, one in found.items()}
    return found


def form_of(folder: Path, config: Mapping[str, Any], weights: Weights) -> Form:
    """Return activation and heads, after a check that sizes and shapes agree.

    Raises:
        CheckpointError: they do not.
    """
    path, model = folder / OPEN_CLIP_CONFIG, config["model_cfg"]
    vision, text = model["vision_cfg"], model["text_cfg"]
    tower = tower_of(weights)
    # Of a ResNet there is no patch; open_clip's configurations say null.
    patch = vision.get("patch_size", 16) or tower.patch_size(weights)
    sizes = {
        "embed_dim": (model.get("embed_dim"), tower.dimension(weights)),
        "vision_cfg.width": (vision.get("width", 768), tower.width(weights)),
        "vision_cfg.patch_size": (patch, tower.patch_size(weights)),
        # Another size would be cut by the patches, or its positions interpolated.
        "vision_cfg.image_size": (vision.get("image_size", 224), tower.image_size(weights)),
        "text_cfg.width": (text.get("width", 512), text_width(weights)),
        "text_cfg.context_length": (
            text.get("context_length", 77), len(weights["positional_embedding"]),
        ),
        "text_cfg.vocab_size": (text.get("vocab_size", ENTRIES), ENTRIES),
    }  # fmt: skip
    for key, (said, found) in sizes.items():
        if said != found:
            raise CheckpointError(f'{path}: "{key}" is {said!r}, and the weights say {found}')
    head_width, heads = vision.get("head_width", 64), text.get("heads", 8)
    is_width = type(head_width) is int and head_width > 0
    image_heads = tower.heads(weights, head_width) if is_width else 0
    if not image_heads:
        raise CheckpointError(f'{path}: "head_width" is {head_width!r}, which is not supported')
    return Form(
        "quick_gelu" if model.get("quick_gelu") else "gelu",
        image_heads,
        _divisor(path, "heads", heads, text_width(weights)),
    )


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


def _check(path: Path, part: Mapping[str, Any]) -> None:
    """Refuse every setting that changes what the towers compute. Unset is false, none or empty."""
    for key, value in part.items():
        if value and key in OTHERS:
            raise CheckpointError(f"{path} describes {OTHERS[key]}, which is not supported yet")
        if value and key not in FREE and value not in FIXED.get(key, ()):
            raise CheckpointError(f'{path}: "{key}" is {value!r}, which is not supported')


def _divisor(path: Path, key: str, value: Any, width: int) -> int:
    if type(value) is not int or value < 1 or width % value:
        raise CheckpointError(f'{path}: "{key}" is {value!r}, which does not divide {width}')
    return value
