"""The image tower of open_clip's ConvNeXts, after the paper (https://arxiv.org/abs/2201.03545).

The names of the weights are those of timm, in which open_clip's files have them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from model.backends.towers.fold import fold_normalization

STAGES = 4
# Sides of the first convolution, of those between stages, and of those in blocks, px.
FIRST, BETWEEN, IN_BLOCK = 4, 2, 7
# The factor of channels inside a block.
EXPANSION = 4
LINEAR, MLP = "head.proj", "head.mlp"


@dataclass(frozen=True)
class ConvNextShape:
    """depths, widths: blocks and channels of each stage. epsilon: of the normalisations.

    middle: channels in the middle of the head; 0 if it is one linear layer. biased: whether its
    last layer has a bias. dimension: D, of an embedding.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    middle: int
    biased: bool
    dimension: int
    epsilon: float

    @classmethod
    def of(cls, weights: Mapping[str, torch.Tensor], epsilon: float) -> ConvNextShape:
        """Read everything else from the weights, by their names in the tower."""
        last = LINEAR if f"{LINEAR}.weight" in weights else f"{MLP}.fc2"
        stages = [f"trunk.stages.{stage}.blocks." for stage in range(STAGES)]
        ends = "conv_dw.weight"
        return cls(
            depths=tuple(
                sum(name.startswith(stage) and name.endswith(ends) for name in weights)
                for stage in stages
            ),
            widths=tuple(len(weights[f"{stage}0.{ends}"]) for stage in stages),
            middle=0 if last == LINEAR else len(weights[f"{MLP}.fc1.weight"]),
            biased=f"{last}.bias" in weights,
            dimension=len(weights[f"{last}.weight"]),
            epsilon=epsilon,
        )


class ConvNextTower(nn.Module):
    """Normalised pictures, float [N, 3, S, S], to [N, D]; after `fold`, unit * pixels of 0..255."""

    def __init__(self, shape: ConvNextShape) -> None:
        super().__init__()
        self.trunk = _Trunk(shape)
        self.head = _head(shape)

    def fold(self, mean: Sequence[float], std: Sequence[float], unit: float) -> None:
        """Put the normalisation of pixels into the first convolution, which pads nothing."""
        first: Any = self.trunk.stem[0]
        self.trunk.stem[0] = fold_normalization(first, mean, std, unit)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """Embed a batch. Returns [N, D]."""
        features: torch.Tensor = self.head(self.trunk(planes))
        return features


class _Trunk(nn.Module):
    """[N, 3, S, S] to [N, C]: the mean of all places, normalised."""

    def __init__(self, shape: ConvNextShape) -> None:
        super().__init__()
        widths = shape.widths
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], FIRST, stride=FIRST), _PlaneNorm(widths[0], shape.epsilon)
        )
        befores = (widths[0], *widths)
        stages = zip(befores, widths, shape.depths, strict=False)
        self.stages = nn.Sequential(
            *(_Stage(before, width, depth, shape.epsilon) for before, width, depth in stages)
        )
        # Named as in timm, whose head is a classifier's.
        self.head = nn.ModuleDict({"norm": nn.LayerNorm(widths[-1], eps=shape.epsilon)})

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        pooled = self.stages(self.stem(planes)).mean(dim=(2, 3))
        features: torch.Tensor = self.head["norm"](pooled)
        return features


class _Stage(nn.Module):
    """Half as many places a side, but in the first, which is told by its channels; then blocks."""

    def __init__(self, before: int, width: int, depth: int, epsilon: float) -> None:
        super().__init__()
        self.downsample: nn.Module = nn.Identity()
        if before != width:
            self.downsample = nn.Sequential(
                _PlaneNorm(before, epsilon), nn.Conv2d(before, width, BETWEEN, stride=BETWEEN)
            )
        self.blocks = nn.Sequential(*(_Block(width, epsilon) for _ in range(depth)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.blocks(self.downsample(x))
        return mixed


class _Block(nn.Module):
    """Places are mixed in each channel alone, then channels at each place alone."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(width, width, IN_BLOCK, padding=IN_BLOCK // 2, groups=width)
        self.norm = nn.LayerNorm(width, eps=epsilon)
        self.mlp = _mlp(width, EXPANSION * width, width)
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        places = self.conv_dw(x).permute(0, 2, 3, 1)  # [N, H, W, C]
        mixed: torch.Tensor = self.gamma * self.mlp(self.norm(places))
        return x + mixed.permute(0, 3, 1, 2)


class _PlaneNorm(nn.LayerNorm):
    """A normalisation of the channels of [N, C, H, W]."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__(width, eps=epsilon)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _mlp(into: int, middle: int, out: int, *, biased: bool = True) -> nn.Sequential:
    layers = {
        "fc1": nn.Linear(into, middle),
        "act": nn.GELU(),
        "fc2": nn.Linear(middle, out, bias=biased),
    }
    return nn.Sequential(OrderedDict(layers))


def _head(shape: ConvNextShape) -> nn.Sequential:
    width = shape.widths[-1]
    name = (MLP if shape.middle else LINEAR).removeprefix("head.")
    layer: nn.Module = nn.Linear(width, shape.dimension, bias=shape.biased)
    if shape.middle:
        layer = _mlp(width, shape.middle, shape.dimension, biased=shape.biased)
    return nn.Sequential(OrderedDict({name: layer}))
