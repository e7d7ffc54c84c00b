"""What a folder of open_clip says of a model with OpenAI's text tower, and its weights do not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.checkpoints.families import CONVNEXT_STRIDE
from model.checkpoints.layouts import OPEN_CLIP_CONFIG
from model.convert.open_clip.folder import compare_sizes, divisor, refuse_others
from model.convert.openai import convnext
from model.convert.openai.form import Form
from model.convert.openai.names import (
    ENTRIES,
    OpenAiTower,
    openais_tower,
    text_width,
    tower_of,
)
from model.convert.plan import Weights
from model.errors import CheckpointError

# Settings of training, or that the shapes of the weights say as well.
FREE = {
    "embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text", "init_logit_scale",
    "output_dict", "cast_dtype", "layers", "width", "head_width", "heads", "mlp_ratio",
    "patch_size", "image_size", "context_length", "vocab_size", "patch_dropout", "output_tokens",
    "eos_id", "pad_id", "tokenizer_mode", "timm_model_pretrained", "timm_proj_bias", "timm_drop",
    "timm_drop_path",
}  # fmt: skip
# The only values that leave the towers as they are.
FIXED: Mapping[str, tuple[Any, ...]] = {
    "pos_embed_type": ("learnable",),
    "pool_type": ("tok", "argmax"),
    "proj_type": ("linear",),
    "model_type": ("clip",),
    "timm_model_name": tuple(convnext.TOWERS),
    "timm_pool": ("avg",),
    "timm_proj": ("linear", "mlp"),
}


def check_settings(folder: Path, config: Mapping[str, Any]) -> None:
    """Check that a model has OpenAI's two towers, or a ConvNeXt of timm's beside OpenAI's texts.

    Raises:
        CheckpointError: it has not.
    """
    refuse_others(folder, config, FREE, FIXED)
    vision = config["model_cfg"]["vision_cfg"]
    projection = vision.get("timm_proj", "linear")
    if vision.get("timm_model_name") and not projection:
        raise CheckpointError(
            f'{folder / OPEN_CLIP_CONFIG}: "timm_proj" is {projection!r}, which is not supported'
        )


def form_of(folder: Path, config: Mapping[str, Any], weights: Weights) -> Form:
    """Return what shapes do not say, after a check that the settings and they agree.

    Raises:
        CheckpointError: they do not.
    """
    path, model = folder / OPEN_CLIP_CONFIG, config["model_cfg"]
    vision, text = model["vision_cfg"], model["text_cfg"]
    compare_sizes(path, {
        "embed_dim": (model.get("embed_dim"), tower_of(weights).dimension(weights)),
        "text_cfg.width": (text.get("width", 512), text_width(weights)),
        "text_cfg.context_length": (
            text.get("context_length", 77), len(weights["positional_embedding"]),
        ),
        "text_cfg.vocab_size": (text.get("vocab_size", ENTRIES), ENTRIES),
    })  # fmt: skip
    name = vision.get("timm_model_name")
    if bool(name) != (tower_of(weights) is convnext):
        raise CheckpointError(f"{path} describes another image tower than the weights are of")
    activation = "quick_gelu" if model.get("quick_gelu") else "gelu"
    heads = divisor(path, "heads", text.get("heads", 8), text_width(weights))
    if name:
        return Form(activation, 0, heads, _image_size(path, vision), convnext.TOWERS[name])
    tower = openais_tower(weights)
    _compare_tower(path, vision, tower, weights)
    return Form(
        activation, _image_heads(path, vision, tower, weights), heads, tower.image_size(weights)
    )


def _image_size(path: Path, vision: Mapping[str, Any]) -> int:
    side = vision.get("image_size", 224)
    if type(side) is not int or side < CONVNEXT_STRIDE:
        raise CheckpointError(f'{path}: "vision_cfg.image_size" is {side!r}, not a side in px')
    return side


def _compare_tower(
    path: Path, vision: Mapping[str, Any], tower: OpenAiTower, weights: Weights
) -> None:
    # Of a ResNet there is no patch; open_clip's configurations say null.
    patch = vision.get("patch_size", 16) or tower.patch_size(weights)
    compare_sizes(path, {
        "vision_cfg.width": (vision.get("width", 768), tower.width(weights)),
        "vision_cfg.patch_size": (patch, tower.patch_size(weights)),
        # Another size would be cut by the patches, or its positions interpolated.
        "vision_cfg.image_size": (vision.get("image_size", 224), tower.image_size(weights)),
    })  # fmt: skip


def _image_heads(
    path: Path, vision: Mapping[str, Any], tower: OpenAiTower, weights: Weights
) -> int:
    head_width = vision.get("head_width", 64)
    is_width = type(head_width) is int and head_width > 0
    heads = tower.heads(weights, head_width) if is_width else 0
    if not heads:
        raise CheckpointError(f'{path}: "head_width" is {head_width!r}, which is not supported')
    return heads
