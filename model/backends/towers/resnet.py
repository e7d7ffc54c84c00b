"""The image tower of CLIP's ResNets, after section 2.4 of the paper (https://arxiv.org/abs/2103.00020).

It differs from torchvision's in its stem of three convolutions, in strides by average pooling (so
that they do not alias), and in its head, which is attention. The names of the weights are those of
OpenAI's files, which open_clip has, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from model.checkpoints.families import RESNET_STRIDE

# The head of an attention, in channels; the factor of channels in the middle of a block to its end.
HEAD, EXPANSION = 64, 4
STAGES = 4
# How many batches a normalisation saw means nothing.
COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class ResNetShape:
    """layers: blocks of each stage. width: channels after the stem. image_size: S, px.

    dimension: D, of an embedding.
    """

    layers: tuple[int, ...]
    width: int
    image_size: int
    dimension: int

    @classmethod
    def of(
        cls, weights: Mapping[str, torch.Tensor], image_size: int, dimension: int
    ) -> ResNetShape:
        """Read layers and width from the weights, by their names in the tower."""
        blocks = [name.split(".")[:2] for name in weights if name.endswith(".conv1.weight")]
        stages = [f"layer{number}" for number in range(1, STAGES + 1)]
        layers = tuple(sum(one[0] == stage for one in blocks) for stage in stages)
        return cls(layers, weights["conv3.weight"].shape[0], image_size, dimension)


class ResNetTower(nn.Module):
    """unit * pixels of 0..255, float [N, 3, S, S], to [N, D]."""

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(
        self, shape: ResNetShape, mean: Sequence[float], std: Sequence[float], unit: float
    ) -> None:
        """mean, std: of pixels / 255, per RGB channel."""
        super().__init__()
        # Not folded into the first convolution: that pads with zeros after the normalisation.
        scale = torch.tensor([1 / (255 * unit * one) for one in std]).view(1, -1, 1, 1)
        shift = torch.tensor([-a / b for a, b in zip(mean, std, strict=True)]).view(1, -1, 1, 1)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)
        half = shape.width // 2
        self.conv1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, shape.width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(shape.width)
        channels = shape.width
        for number, blocks in enumerate(shape.layers):
            middle = shape.width * 2**number
            stage = _stage(channels, middle, blocks, stride=1 if number == 0 else 2)
            setattr(self, f"layer{number + 1}", stage)
            channels = middle * EXPANSION
        self.attnpool = _AttentionPool(shape.image_size // RESNET_STRIDE, channels, shape.dimension)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """Embed a batch. Returns [N, D]."""
        x = planes * self.scale + self.shift
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = torch.relu(norm(conv(x)))
        x = nn.functional.avg_pool2d(x, 2)
        for number in range(1, STAGES + 1):
            x = getattr(self, f"layer{number}")(x)
        pooled: torch.Tensor = self.attnpool(x)
        return pooled


def _stage(channels: int, middle: int, blocks: int, stride: int) -> nn.Sequential:
    first = _Block(channels, middle, stride)
    others = (_Block(middle * EXPANSION, middle, 1) for _ in range(blocks - 1))
    return nn.Sequential(first, *others)


class _Block(nn.Module):
    """A bottleneck. A stride is an average pooling, on the way through and around."""

    def __init__(self, channels: int, middle: int, stride: int) -> None:
        super().__init__()
        end = middle * EXPANSION
        self.conv1 = nn.Conv2d(channels, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, end, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(end)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.downsample = None
        if stride > 1 or channels != end:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, end, 1, bias=False), nn.BatchNorm2d(end)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        around = x if self.downsample is None else self.downsample(self.pool(x))
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.pool(torch.relu(self.bn2(self.conv2(x))))
        return torch.relu(self.bn3(self.conv3(x)) + around)


class _AttentionPool(nn.Module):
    """The mean of all places asks all places: [N, C, H, W] to [N, D]."""

    def __init__(self, side: int, channels: int, dimension: int) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.zeros(side * side + 1, channels))
        self.q_proj = nn.Linear(channels, channels)
        self.k_proj = nn.Linear(channels, channels)
        self.v_proj = nn.Linear(channels, channels)
        self.c_proj = nn.Linear(channels, dimension)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        places = x.flatten(2).transpose(1, 2)  # [N, H W, C]
        tokens = torch.cat([places.mean(dim=1, keepdim=True), places], dim=1)
        tokens = tokens + self.positional_embedding
        q, k, v = self.q_proj(tokens[:, :1]), self.k_proj(tokens), self.v_proj(tokens)
        heads = (one.unflatten(-1, (-1, HEAD)).transpose(1, 2) for one in (q, k, v))
        mixed = nn.functional.scaled_dot_product_attention(*heads)  # [N, heads, 1, HEAD]
        features: torch.Tensor = self.c_proj(mixed.transpose(1, 2).flatten(1))
        return features
