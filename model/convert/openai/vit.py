"""OpenAI's image tower as a ViT: names, shapes and configuration."""

from __future__ import annotations

import math
from typing import Any

import torch

from model.checkpoints.families import CLIP
from model.convert.openai.blocks import block_shapes, depth, last, norm_shapes
from model.convert.openai.form import Form
from model.convert.plan import Weights
from model.convert.whole import OPENAIS

FAMILY, WHAT = CLIP, OPENAIS
PARTS = {
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
}
REQUIRED = (*PARTS, "visual.proj")
BLOCKS = "visual.transformer.resblocks."


def shapes(source: Weights) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all weights of the tower that some of them tell of."""
    side = image_size(source) // max(patch_size(source), 1)
    return {
        "visual.conv1.weight": (width(source), 3, patch_size(source), patch_size(source)),
        "visual.class_embedding": (width(source),),
        "visual.positional_embedding": (side * side + 1, width(source)),
        **norm_shapes("visual.ln_pre", width(source)),
        **block_shapes(source, BLOCKS, width(source)),
        **norm_shapes("visual.ln_post", width(source)),
        "visual.proj": (width(source), dimension(source)),
    }


def renamed(source: Weights) -> dict[str, torch.Tensor]:
    """Return the weights outside of blocks by transformers' names."""
    found = {new: source[old] for old, new in PARTS.items()}
    return found | {"visual_projection.weight": source["visual.proj"].T}


def config(source: Weights, form: Form) -> dict[str, Any]:
    """Return `vision_config` of config.json."""
    return {
        "model_type": "clip_vision_model",
        "hidden_size": width(source),
        "num_attention_heads": form.image_heads,
        "image_size": form.image_size,
        "patch_size": patch_size(source),
        "hidden_act": form.activation,
        "layer_norm_eps": form.image_epsilon,
        "projection_dim": dimension(source),
        **depth(source, BLOCKS),
    }


def words(source: Weights) -> str:
    """Return a description."""
    layers = depth(source, BLOCKS)["num_hidden_layers"]
    return f"ViT, {layers} layers of {width(source)}, patches of {patch_size(source)} px"


def width(source: Weights) -> int:
    """Return the channels."""
    return source["visual.class_embedding"].numel()


def heads(source: Weights, head_width: int) -> int:
    """Return the heads of attention; 0 if their width does not divide the channels."""
    return 0 if width(source) % head_width else width(source) // head_width


def dimension(source: Weights) -> int:
    """Return D, of an embedding."""
    return last(source, "visual.proj")


def patch_size(source: Weights) -> int:
    """Return the side of a patch, px."""
    return last(source, "visual.conv1.weight")


def image_size(source: Weights) -> int:
    """Return S, px: patch side x patches a side; the class has a position of its own."""
    patches = source["visual.positional_embedding"].numel() // max(1, width(source)) - 1
    return patch_size(source) * math.isqrt(max(0, patches))
