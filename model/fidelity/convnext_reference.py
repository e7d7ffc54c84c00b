"""A ConvNeXt as plain functions of its weights, to compare `ConvNextTower` with.

transformers' own takes no epsilon in its blocks. This shares no code with the module: it walks over
the names of the weights, normalises in planes, and has convolutions where the module has matrices.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional as F  # noqa: N812 - as everywhere

Weights = Mapping[str, torch.Tensor]


def embed(weights: Weights, planes: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Embed normalised pictures, float32 [N, 3, S, S]. weights: timm's. Returns [N, D].

    epsilon: of the normalisations.
    """
    x = _norm(weights, "trunk.stem.1", _conv(weights, "trunk.stem.0", planes, stride=4), epsilon)
    for stage in range(4):
        name = f"trunk.stages.{stage}"
        if f"{name}.downsample.1.weight" in weights:
            x = _norm(weights, f"{name}.downsample.0", x, epsilon)
            x = _conv(weights, f"{name}.downsample.1", x, stride=2)
        block = 0
        while f"{name}.blocks.{block}.gamma" in weights:
            x = x + _block(weights, f"{name}.blocks.{block}", x, epsilon)
            block += 1
    x = _norm(weights, "trunk.head.norm", F.adaptive_avg_pool2d(x, 1), epsilon)
    if "head.proj.weight" in weights:
        return _conv(weights, "head.proj", x).flatten(1)
    return _mlp(weights, "head.mlp", x).flatten(1)


def _block(weights: Weights, name: str, x: torch.Tensor, epsilon: float) -> torch.Tensor:
    kernel, bias = weights[f"{name}.conv_dw.weight"], weights[f"{name}.conv_dw.bias"]
    x = F.conv2d(x, kernel, bias, padding=3, groups=len(kernel))
    x = _mlp(weights, f"{name}.mlp", _norm(weights, f"{name}.norm", x, epsilon))
    return x * weights[f"{name}.gamma"].view(1, -1, 1, 1)


def _mlp(weights: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    return _conv(weights, f"{name}.fc2", F.gelu(_conv(weights, f"{name}.fc1", x)))


def _conv(weights: Weights, name: str, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
    """Apply a convolution, or a matrix at each place."""
    kernel = weights[f"{name}.weight"]
    kernel = kernel if kernel.dim() == x.dim() else kernel[:, :, None, None]
    return F.conv2d(x, kernel, weights.get(f"{name}.bias"), stride=stride)


def _norm(weights: Weights, name: str, x: torch.Tensor, epsilon: float) -> torch.Tensor:
    variance, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
    scale, shift = (weights[f"{name}.{kind}"].view(1, -1, 1, 1) for kind in ("weight", "bias"))
    return (x - mean) / (variance + epsilon).sqrt() * scale + shift
