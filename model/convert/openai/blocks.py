"""The residual blocks of OpenAI's transformers: their shapes, and their names in transformers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import torch

from model.convert.plan import Weights

BLOCK = re.compile(r"(visual\.)?transformer\.resblocks\.(\d{1,3})\.(.+)(weight|bias)")
IN_BLOCK = {
    "ln_1.": "layer_norm1.",
    "ln_2.": "layer_norm2.",
    "attn.out_proj.": "self_attn.out_proj.",
    "mlp.c_fc.": "mlp.fc1.",
    "mlp.c_proj.": "mlp.fc2.",
}
JOINED = "attn.in_proj_"


def renamed_blocks(source: Weights) -> dict[str, torch.Tensor]:
    """Return the weights in blocks by transformers' names."""
    found: dict[str, torch.Tensor] = {}
    for old, one in source.items():
        if new := list(_in_block(old)):
            found |= dict(zip(new, one.chunk(len(new)), strict=True))
    return found


def block_shapes(source: Weights, prefix: str, width: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a tower's blocks; it has at least one."""
    found = depth(source, prefix)
    inner = found["intermediate_size"]
    return {
        f"{prefix}{index}.{name}": shape
        for index in range(max(1, found["num_hidden_layers"]))
        for name, shape in {
            **norm_shapes("ln_1", width),
            "attn.in_proj_weight": (3 * width, width),
            "attn.in_proj_bias": (3 * width,),
            "attn.out_proj.weight": (width, width),
            "attn.out_proj.bias": (width,),
            **norm_shapes("ln_2", width),
            "mlp.c_fc.weight": (inner, width),
            "mlp.c_fc.bias": (inner,),
            "mlp.c_proj.weight": (width, inner),
            "mlp.c_proj.bias": (width,),
        }.items()
    }


def norm_shapes(name: str, width: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a normalisation."""
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def depth(source: Mapping[str, torch.Tensor], prefix: str) -> dict[str, int]:
    """Return the keys of config.json that the blocks of a tower say."""
    inside = (name.removeprefix(prefix) for name in source if name.startswith(prefix))
    blocks = {name.partition(".")[0] for name in inside}
    inner = source.get(f"{prefix}0.mlp.c_fc.weight")
    return {
        "num_hidden_layers": len(blocks),
        "intermediate_size": 0 if inner is None or not inner.dim() else len(inner),
    }


def last(source: Weights, name: str) -> int:
    """Return the last side of a weight; 0 of a number."""
    return source[name].shape[-1] if source[name].dim() else 0


def _in_block(name: str) -> Iterator[str]:
    """Yield transformers' name of a weight in a block; three for query, key and value together."""
    match = BLOCK.fullmatch(name)
    if match is None:
        return
    tower = "vision_model" if match[1] else "text_model"
    layer = f"{tower}.encoder.layers.{match[2]}"
    if match[3] == JOINED:
        yield from (f"{layer}.self_attn.{one}_proj.{match[4]}" for one in "qkv")
    elif match[3] in IN_BLOCK:
        yield f"{layer}.{IN_BLOCK[match[3]]}{match[4]}"
