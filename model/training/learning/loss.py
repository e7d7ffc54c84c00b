"""Contrastive losses over all N x N pairings of images and texts.

Softmax: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision"
(2021), the mean of two cross-entropies, along rows and along columns. Sigmoid: Zhai et al.,
"Sigmoid Loss for Language Image Pre-Training" (2023), each pairing by itself.
"""

from __future__ import annotations

import math

import torch
from torch.nn.functional import cross_entropy, logsigmoid

from model.config import ScoreKind

# Radford et al. 2021, section 2.5: the scale of the logits is kept at or below 100.
MAX_LOGIT_SCALE = math.log(100)


def contrastive_loss(
    kind: ScoreKind,
    images: torch.Tensor,
    texts: torch.Tensor,
    captions: torch.Tensor,
    scale: torch.Tensor,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the loss, a scalar.

    Args:
        kind: as the checkpoint was trained.
        images: float [N, D], unit norm.
        texts: the same; row i of both is a pair.
        captions: int64 [N], equal for equal texts, which are not negatives of each other.
        scale: the logarithm of the factor of cosines.
        bias: is added to the logits.
    """
    logits = scale.exp() * images @ texts.T  # [N, N], images by texts
    if bias is not None:
        logits = logits + bias
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    ignored = (captions[:, None] == captions[None]) & ~own
    if kind == "sigmoid":
        signs = torch.where(own, 1.0, -1.0)
        return -logsigmoid(signs * logits).masked_fill(ignored, 0.0).sum() / len(logits)
    logits = logits.masked_fill(ignored, -torch.inf)
    right = torch.arange(len(logits), device=logits.device)  # [N]
    return (cross_entropy(logits, right) + cross_entropy(logits.T, right)) / 2
