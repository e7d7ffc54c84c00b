"""Folding of the normalisation of pixels into a first convolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


def fold_normalization(
    convolution: nn.Conv2d, mean: Sequence[float], std: Sequence[float], unit: float = 1.0
) -> nn.Conv2d:
    """Return a convolution on unit * pixels equal to the given one on (pixels / 255 - mean) / std.

    w' = w / (255 std unit), b' = b - sum over channels and taps of w mean / std. Exact only
    without padding; a patch embedding has none. Computed in float64, returned in the precision of
    `convolution`. mean, std: one number a channel. Pixels are 0..255.
    """
    weight = convolution.weight.double()  # [out, 3, P, P]
    scale = torch.tensor(std, dtype=torch.float64, device=weight.device).view(1, -1, 1, 1)
    shift = torch.tensor(mean, dtype=torch.float64, device=weight.device).view(1, -1, 1, 1)
    bias = -(weight * shift / scale).sum(dim=(1, 2, 3))
    if convolution.bias is not None:
        bias += convolution.bias.double()
    folded = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        kernel_size=convolution.weight.shape[-1],
        stride=convolution.stride,  # type: ignore[arg-type]  # torch's own annotation is wider
    )
    dtype = convolution.weight.dtype
    folded.weight = nn.Parameter((weight / (255 * unit * scale)).to(dtype), requires_grad=False)
    folded.bias = nn.Parameter(bias.to(dtype), requires_grad=False)
    return folded
