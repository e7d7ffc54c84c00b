"""OpenAI's names of weights, as those of a checkpoint; sizes and config.json from their shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch

from model.backends.towers.resnet import COUNTER
from model.checkpoints.families import Family
from model.convert.openai import convnext, resnet, vit
from model.convert.openai.blocks import block_shapes, depth, norm_shapes, renamed_blocks
from model.convert.openai.form import Form
from model.convert.plan import Weights
from model.convert.whole import What, compare, require

# The last two of the vocabulary.
START, END = 49406, 49407
ENTRIES = 49408
# Channels of a head in all of OpenAI's models.
HEAD_WIDTH = 64

TEXT_PARTS = {
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "logit_scale": "logit_scale",
}
TEXT_PROJECTION = "text_projection"
TEXT_BLOCKS = "transformer.resblocks."
# Buffers, which follow from the sizes.
BUFFERS = {"attn_mask", "input_resolution", "context_length", "vocab_size"}


class ImageTower(Protocol):
    """One kind of image tower: the module `vit`, `resnet` or `convnext`."""

    FAMILY: Family
    WHAT: What
    REQUIRED: tuple[str, ...]

    def shapes(self, source: Weights) -> dict[str, tuple[int, ...]]:
        """Return the shapes of all weights of the tower that some of them tell of."""

    def renamed(self, source: Weights) -> dict[str, torch.Tensor]:
        """Return the weights outside of transformers' blocks by the names of a checkpoint."""

    def config(self, source: Weights, form: Form) -> dict[str, Any]:
        """Return `vision_config` of config.json."""

    def words(self, source: Weights) -> str:
        """Return a description."""

    def dimension(self, source: Weights) -> int:
        """Return D, of an embedding."""


class OpenAiTower(ImageTower, Protocol):
    """One of OpenAI's own kinds: the module `vit` or `resnet`."""

    def width(self, source: Weights) -> int:
        """Return the channels."""

    def heads(self, source: Weights, head_width: int) -> int:
        """Return the heads of attention; 0 if no such tower can be built."""

    def patch_size(self, source: Weights) -> int:
        """Return the side of a patch, px."""

    def image_size(self, source: Weights) -> int:
        """Return S, px."""


def tower_of(source: Weights) -> ImageTower:
    """Return the kind of image tower that weights are of."""
    of_timm = any(name.startswith(convnext.TRUNK) for name in source)
    return convnext if of_timm else openais_tower(source)


def openais_tower(source: Weights) -> OpenAiTower:
    """Return the same, of OpenAI's own kinds."""
    return resnet if any(name.startswith("visual.layer1.") for name in source) else vit


def checked(path: Path, source: Weights) -> dict[str, torch.Tensor]:
    """Return the weights of a whole CLIP in float32, without its buffers.

    Raises:
        CheckpointError: they are not all of one, or more; the message names what.
    """
    tower = tower_of(source)
    found = {
        name: one.float()
        for name, one in source.items()
        if name not in BUFFERS and not name.endswith(COUNTER)
    }
    require(path, found, (*tower.REQUIRED, *TEXT_PARTS, TEXT_PROJECTION), tower.WHAT)
    expected = tower.shapes(found) | _text_shapes(found, tower.dimension(found))
    compare(path, found, expected, tower.WHAT)
    return found


def renamed(source: Weights) -> dict[str, torch.Tensor]:
    """Return checked weights by the names of a checkpoint."""
    text = {new: source[old] for old, new in TEXT_PARTS.items()}
    text |= {"text_projection.weight": source[TEXT_PROJECTION].T}
    return tower_of(source).renamed(source) | text | renamed_blocks(source)


def standard_form(source: Weights) -> Form:
    """Return the form of OpenAI's models."""
    tower = openais_tower(source)
    heads = tower.heads(source, HEAD_WIDTH)
    side = tower.image_size(source)
    return Form("quick_gelu", heads, text_width(source) // HEAD_WIDTH, side)


def config_of(source: Weights, form: Form) -> dict[str, Any]:
    """Return config.json of checked weights."""
    tower = tower_of(source)
    text = {
        "model_type": "clip_text_model",
        "hidden_size": text_width(source),
        "num_attention_heads": form.text_heads,
        "max_position_embeddings": len(source["positional_embedding"]),
        "vocab_size": ENTRIES,
        "bos_token_id": START,
        "eos_token_id": END,
        "pad_token_id": END,
        "hidden_act": form.activation,
        "layer_norm_eps": 1e-5,
        "projection_dim": tower.dimension(source),
        **depth(source, TEXT_BLOCKS),
    }
    return {
        "model_type": tower.FAMILY.name,
        "projection_dim": tower.dimension(source),
        "vision_config": tower.config(source, form),
        "text_config": text,
    }


def text_width(source: Weights) -> int:
    """Return the channels of the text tower."""
    return source["ln_final.weight"].numel()


def _text_shapes(source: Weights, dimension: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all weights of the text tower that some of them tell of."""
    width = text_width(source)
    length = source["positional_embedding"].numel() // max(width, 1)
    return {
        "token_embedding.weight": (ENTRIES, width),
        "positional_embedding": (length, width),
        **block_shapes(source, TEXT_BLOCKS, width),
        **norm_shapes("ln_final", width),
        TEXT_PROJECTION: (width, dimension),
        "logit_scale": (),
    }
