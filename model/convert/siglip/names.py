"""open_clip's names of a SigLIP's weights, as those of transformers; sizes from their shapes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import torch

from model.convert.openai.blocks import block_shapes, depth, last, norm_shapes, renamed_blocks
from model.convert.plan import Weights
from model.convert.whole import What, compare, require

TRUNK = "visual.trunk."
POOL = f"{TRUNK}attn_pool."
PATCH, PLACES, LATENT = f"{TRUNK}patch_embed.proj.weight", f"{TRUNK}pos_embed", f"{POOL}latent"
TOKENS, POSITIONS = "token_embedding.weight", "positional_embedding"
PROJECTION = "text_projection"
TEXT_BLOCKS = "transformer.resblocks."
BLOCK = re.compile(r"visual\.trunk\.blocks\.(\d{1,3})\.(.+)\.(weight|bias)")
FIRST_INNER = f"{TRUNK}blocks.0.mlp.fc1.weight"
REQUIRED = (PATCH, PLACES, f"{TRUNK}norm.weight", FIRST_INNER, TOKENS, POSITIONS, "ln_final.weight")
# Numbers, of which a training may have made lists of one.
LOGITS = ("logit_scale", "logit_bias")
WHAT = What("open_clip's", "SigLIP")

# Each stands for a weight and a bias, or for one of them.
PARTS = {
    f"{TRUNK}patch_embed.proj": "vision_model.embeddings.patch_embedding",
    f"{TRUNK}norm": "vision_model.post_layernorm",
    f"{POOL}proj": "vision_model.head.attention.out_proj",
    f"{POOL}norm": "vision_model.head.layernorm",
    f"{POOL}mlp.fc1": "vision_model.head.mlp.fc1",
    f"{POOL}mlp.fc2": "vision_model.head.mlp.fc2",
    "token_embedding": "text_model.embeddings.token_embedding",
    "ln_final": "text_model.final_layer_norm",
    PROJECTION: "text_model.head",
}
IN_BLOCK = {
    "norm1": ("layer_norm1",),
    "attn.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attn.proj": ("self_attn.out_proj",),
    "norm2": ("layer_norm2",),
    "mlp.fc1": ("mlp.fc1",),
    "mlp.fc2": ("mlp.fc2",),
}


def checked(path: Path, source: Weights) -> dict[str, torch.Tensor]:
    """Return the weights of a whole SigLIP in float32.

    Raises:
        CheckpointError: they are not all of one, or more; the message names what.
    """
    found = {
        name: one.float().squeeze() if name in LOGITS else one.float()
        for name, one in source.items()
    }
    require(path, found, REQUIRED, WHAT)
    compare(path, found, _image_shapes(found) | _text_shapes(found), WHAT)
    return found


def renamed(source: Weights) -> dict[str, torch.Tensor]:
    """Return checked weights by transformers' names."""
    found = renamed_blocks(source)
    for old, one in source.items():
        if new := list(_renamed(old)):
            found |= dict(zip(new, one.chunk(len(new)), strict=True))
    for kind in ("weight", "bias"):
        joined = torch.cat([source[f"{POOL}q.{kind}"], source[f"{POOL}kv.{kind}"]])
        found[f"vision_model.head.attention.in_proj_{kind}"] = joined
    return found | _head(source) | {
        "vision_model.embeddings.position_embedding.weight": source[PLACES][0],
        "vision_model.head.probe": source[LATENT],
        "text_model.embeddings.position_embedding.weight": source[POSITIONS],
        **{name: source[name].reshape(1) for name in LOGITS},
    }  # fmt: skip


def width(source: Weights) -> int:
    """Return the channels of the image tower."""
    return source[f"{TRUNK}norm.weight"].numel()


def text_width(source: Weights) -> int:
    """Return the channels of the text tower."""
    return source["ln_final.weight"].numel()


def dimension(source: Weights) -> int:
    """Return D, of an embedding: the image tower has no projection."""
    return width(source)


def patch_size(source: Weights) -> int:
    """Return the side of a patch, px."""
    return max(1, last(source, PATCH))


def patches_a_side(source: Weights) -> int:
    """Return how many patches are beside each other."""
    return math.isqrt(source[PLACES].numel() // max(1, width(source)))


def context(source: Weights) -> int:
    """Return the length of a text, tokens."""
    return source[POSITIONS].numel() // max(1, text_width(source))


def rows(source: Weights) -> int:
    """Return the entries of the vocabulary."""
    return source[TOKENS].numel() // max(1, text_width(source))


def image_depth(source: Weights) -> dict[str, int]:
    """Return the keys of config.json that the blocks of the image tower say."""
    blocks = {match[1] for name in source if (match := BLOCK.fullmatch(name))}
    return {"num_hidden_layers": len(blocks), "intermediate_size": len(source[FIRST_INNER])}


def text_depth(source: Weights) -> dict[str, int]:
    """Return the same of the text tower."""
    return depth(source, TEXT_BLOCKS)


def _renamed(name: str) -> Iterator[str]:
    """Yield transformers' name of a weight; three for query, key and value together."""
    part, _, kind = name.rpartition(".")
    if match := BLOCK.fullmatch(name):
        layer = f"vision_model.encoder.layers.{match[1]}"
        yield from (f"{layer}.{one}.{kind}" for one in IN_BLOCK[match[2]])
    elif part in PARTS:
        yield f"{PARTS[part]}.{kind}"


def _head(source: Weights) -> dict[str, torch.Tensor]:
    """Return a projection of texts that changes nothing, where open_clip has none."""
    if f"{PROJECTION}.weight" in source:
        return {}
    channels = text_width(source)
    return {
        "text_model.head.weight": torch.eye(channels),
        "text_model.head.bias": torch.zeros(channels),
    }


def _image_shapes(source: Weights) -> dict[str, tuple[int, ...]]:
    channels, patch, side = width(source), patch_size(source), patches_a_side(source)
    found = image_depth(source)
    inner, blocks = found["intermediate_size"], found["num_hidden_layers"]
    return {
        PATCH: (channels, 3, patch, patch),
        f"{TRUNK}patch_embed.proj.bias": (channels,),
        PLACES: (1, side * side, channels),
        **{
            f"{TRUNK}blocks.{index}.{name}": shape
            for index in range(blocks)
            for name, shape in _block_shapes(channels, inner).items()
        },
        **norm_shapes(f"{TRUNK}norm", channels),
        LATENT: (1, 1, channels),
        **_linear_shapes(f"{POOL}q", channels, channels),
        **_linear_shapes(f"{POOL}kv", channels, 2 * channels),
        **_linear_shapes(f"{POOL}proj", channels, channels),
        **norm_shapes(f"{POOL}norm", channels),
        **_linear_shapes(f"{POOL}mlp.fc1", channels, inner),
        **_linear_shapes(f"{POOL}mlp.fc2", inner, channels),
    }


def _block_shapes(channels: int, inner: int) -> dict[str, tuple[int, ...]]:
    return {
        **norm_shapes("norm1", channels),
        **_linear_shapes("attn.qkv", channels, 3 * channels),
        **_linear_shapes("attn.proj", channels, channels),
        **norm_shapes("norm2", channels),
        **_linear_shapes("mlp.fc1", channels, inner),
        **_linear_shapes("mlp.fc2", inner, channels),
    }


def _text_shapes(source: Weights) -> dict[str, tuple[int, ...]]:
    channels = text_width(source)
    projected = f"{PROJECTION}.weight" in source
    return {
        TOKENS: (rows(source), channels),
        POSITIONS: (context(source), channels),
        **block_shapes(source, TEXT_BLOCKS, channels),
        **norm_shapes("ln_final", channels),
        **(_linear_shapes(PROJECTION, channels, dimension(source)) if projected else {}),
        **dict.fromkeys(LOGITS, ()),
    }


def _linear_shapes(name: str, into: int, out: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}
