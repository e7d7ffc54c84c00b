"""open_clip's image tower as a ConvNeXt of timm's: shapes, configuration. Its names stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from model.backends.towers.convnext import STAGES, ConvNextShape, ConvNextTower
from model.backends.towers.visual import PREFIX, inside
from model.checkpoints.families import CONVNEXT
from model.convert.openai.form import Form
from model.convert.plan import Weights
from model.convert.whole import What

FAMILY = CONVNEXT
WHAT = What("open_clip's", "CLIP with a ConvNeXt")
TRUNK = f"{PREFIX}trunk."
REQUIRED = tuple(f"{TRUNK}stages.{stage}.blocks.0.conv_dw.weight" for stage in range(STAGES))
# timm's towers of this form, and the epsilon of their normalisations.
TOWERS: Mapping[str, float] = {
    "convnext_tiny": 1e-6,
    "convnext_small": 1e-6,
    "convnext_base": 1e-6,
    "convnext_large": 1e-6,
    "convnext_xlarge": 1e-6,
    "convnext_xxlarge": 1e-5,
}


def shapes(source: Weights) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all weights of the tower that some of them tell of."""
    with torch.device("meta"):
        tower = ConvNextTower(_shape(source))
    return {PREFIX + name: tuple(one.shape) for name, one in tower.state_dict().items()}


def renamed(source: Weights) -> dict[str, torch.Tensor]:
    """Return the weights of the tower."""
    return {name: one for name, one in source.items() if name.startswith(PREFIX)}


def config(source: Weights, form: Form) -> dict[str, Any]:
    """Return `vision_config` of config.json: but for epsilon, the shapes say all of it."""
    shape = _shape(source)
    return {
        "depths": list(shape.depths),
        "widths": list(shape.widths),
        "image_size": form.image_size,
        "layer_norm_eps": form.image_epsilon,
        "projection_dim": shape.dimension,
    }


def words(source: Weights) -> str:
    """Return a description."""
    shape = _shape(source)
    return f"ConvNeXt, {' + '.join(map(str, shape.depths))} blocks, width {shape.widths[0]}"


def dimension(source: Weights) -> int:
    """Return D, of an embedding."""
    return _shape(source).dimension


def _shape(source: Weights) -> ConvNextShape:
    return ConvNextShape.of(inside(source), epsilon=0.0)
