"""CLIP's ResNet as plain functions of its weights, to compare `ResNetTower` with.

There is no such model in transformers. This shares no code with the module: it walks over the names
of the weights, normalises in float32, and attends by torch's own function for OpenAI's layout.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional as F  # noqa: N812 - as everywhere

Weights = Mapping[str, torch.Tensor]
HEAD = 64


def embed(weights: Weights, planes: torch.Tensor) -> torch.Tensor:
    """Embed normalised pictures, float32 [N, 3, S, S]. weights: OpenAI's. Returns [N, D]."""
    x = planes
    for number, stride in ((1, 2), (2, 1), (3, 1)):
        x = F.conv2d(x, weights[f"conv{number}.weight"], stride=stride, padding=1)
        x = _norm(weights, f"bn{number}", x).relu()
    x = F.avg_pool2d(x, 2)
    for stage in range(1, 5):
        block = 0
        while f"layer{stage}.{block}.conv1.weight" in weights:
            x = _block(weights, f"layer{stage}.{block}", x, 2 if stage > 1 and block == 0 else 1)
            block += 1
    return _pool(weights, x)


def _block(weights: Weights, name: str, x: torch.Tensor, stride: int) -> torch.Tensor:
    around = x
    x = _norm(weights, f"{name}.bn1", F.conv2d(x, weights[f"{name}.conv1.weight"])).relu()
    x = F.conv2d(x, weights[f"{name}.conv2.weight"], padding=1)
    x = F.avg_pool2d(_norm(weights, f"{name}.bn2", x).relu(), stride)
    x = _norm(weights, f"{name}.bn3", F.conv2d(x, weights[f"{name}.conv3.weight"]))
    if (projection := weights.get(f"{name}.downsample.0.weight")) is not None:
        around = F.conv2d(F.avg_pool2d(around, stride), projection)
        around = _norm(weights, f"{name}.downsample.1", around)
    return (x + around).relu()


def _norm(weights: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    return F.batch_norm(x, mean, variance, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _pool(weights: Weights, x: torch.Tensor) -> torch.Tensor:
    places = x.flatten(2).permute(2, 0, 1)  # [H W, N, C]
    tokens = torch.cat([places.mean(0, keepdim=True), places])
    tokens = tokens + weights["attnpool.positional_embedding"][:, None]
    channels = tokens.shape[-1]
    pooled, _ = F.multi_head_attention_forward(
        query=tokens[:1],
        key=tokens,
        value=tokens,
        embed_dim_to_check=channels,
        num_heads=channels // HEAD,
        in_proj_weight=None,
        in_proj_bias=torch.cat([weights[f"attnpool.{one}_proj.bias"] for one in "qkv"]),
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=weights["attnpool.c_proj.weight"],
        out_proj_bias=weights["attnpool.c_proj.bias"],
        use_separate_proj_weight=True,
        training=False,
        need_weights=False,
        q_proj_weight=weights["attnpool.q_proj.weight"],
        k_proj_weight=weights["attnpool.k_proj.weight"],
        v_proj_weight=weights["attnpool.v_proj.weight"],
    )
    return pooled[0]
