"""OpenAI's image tower as a ResNet: shapes and configuration. Its names stay as they are."""

from __future__ import annotations

import math
from typing import Any

import torch

from model.backends.towers.resnet import COUNTER, HEAD, ResNetShape, ResNetTower
from model.backends.towers.visual import PREFIX, inside
from model.checkpoints.families import RESNET, RESNET_STRIDE
from model.convert.openai.blocks import last
from model.convert.openai.form import Form
from model.convert.plan import Weights
from model.convert.whole import OPENAIS

FAMILY, WHAT = RESNET, OPENAIS
POSITIONS, PROJECTION = "visual.attnpool.positional_embedding", "visual.attnpool.c_proj.weight"
REQUIRED = ("visual.conv1.weight", "visual.conv3.weight", POSITIONS, PROJECTION)


def shapes(source: Weights) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all weights of the tower that some of them tell of."""
    with torch.device("meta"):
        tower = ResNetTower(_shape(source), (0, 0, 0), (1, 1, 1), 1.0)
    state = tower.state_dict().items()
    return {PREFIX + name: tuple(one.shape) for name, one in state if not name.endswith(COUNTER)}


def renamed(source: Weights) -> dict[str, torch.Tensor]:
    """Return the weights of the tower."""
    return {name: one for name, one in source.items() if name.startswith(PREFIX)}


def config(source: Weights, form: Form) -> dict[str, Any]:
    """Return `vision_config` of config.json: for people, since the shapes say all of it."""
    shape = _shape(source)
    return {
        "layers": list(shape.layers),
        "width": shape.width,
        "image_size": form.image_size,
        "projection_dim": shape.dimension,
    }


def words(source: Weights) -> str:
    """Return a description."""
    shape = _shape(source)
    return f"ResNet, {' + '.join(map(str, shape.layers))} blocks, width {shape.width}"


def width(source: Weights) -> int:
    """Return the channels after the stem."""
    return len(source["visual.conv3.weight"])


def heads(source: Weights, head_width: int) -> int:
    """Return the heads of the attention at its end; 0 if they are not as OpenAI's."""
    return last(source, POSITIONS) // head_width if head_width == HEAD else 0


def dimension(source: Weights) -> int:
    """Return D, of an embedding."""
    return len(source[PROJECTION])


def patch_size(source: Weights) -> int:  # noqa: ARG001 - as of a ViT
    """Return the px for one place of the attention."""
    return RESNET_STRIDE


def image_size(source: Weights) -> int:
    """Return S, px. The mean has a position of its own."""
    return RESNET_STRIDE * math.isqrt(max(0, len(source[POSITIONS]) - 1))


def _shape(source: Weights) -> ResNetShape:
    return ResNetShape.of(inside(source), image_size(source), dimension(source))
