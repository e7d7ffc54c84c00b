"""Scores of images against labels, from their embeddings. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.config import Scores


def score(
    image: NDArray[np.float32], labels: NDArray[np.float32], how: Scores
) -> NDArray[np.float32]:
    """Return a score from 0 to 1 of each label for an image.

    image: float32 [D]; labels: float32 [M, D]; both of unit norm. Returns float32 [M].
    softmax sums to 1 over the labels (CLIP, Radford et al. 2021); sigmoid is each label's own
    probability (SigLIP, Zhai et al. 2023).
    """
    logits = how.scale * (labels.astype(np.float64) @ image) + how.bias
    if how.kind == "sigmoid":
        # 1 / (1 + exp(-x)) without an overflow.
        return np.asarray(np.exp(-np.logaddexp(0, -logits)), np.float32)
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum(), np.float32)
