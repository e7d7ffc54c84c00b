"""How many pairs a training can embed at once in the memory of a machine."""

from __future__ import annotations

from typing import Any

import torch

from model.training.dual_encoder import DualEncoder
from model.training.options import LARGEST_CHUNK

FLOAT_BYTES = 4
# What a pair keeps for its gradients, of each token, channel and block: a step of ViT-B/32 took
# 2.0 GiB more with 64 pairs in a chunk than with 32.
PAIR_BYTES = 72
# Python, torch and transformers.
PROCESS_BYTES = 600 * 2**20
# The share of what is left that pairs may take: allocators keep holes, and others want memory, too.
SHARE = 0.5


def fitting_pairs(model: DualEncoder, memory_bytes: int | None) -> int:
    """Return a power of two, 1 to 512. model: with its weights to train chosen; None: 512."""
    if memory_bytes is None or torch.cuda.is_available():
        return LARGEST_CHUNK
    every = sum(one.numel() for one in model.parameters())
    changed = sum(one.numel() for one in model.parameters() if one.requires_grad)
    return pairs_in(memory_bytes, every, changed, _numbers(model.model.config))


def pairs_in(memory_bytes: int, weights: int, changed: int, numbers: int) -> int:
    """Return how many pairs fit, as `fitting_pairs`.

    weights: of the model; changed: those that are trained. numbers: tokens times channels times
    blocks, of both towers.
    """
    # The model and the base; gradients, Adam's two means and the best weights so far.
    kept = FLOAT_BYTES * (2 * weights + 4 * changed)
    fitting = int(SHARE * (memory_bytes - PROCESS_BYTES - kept) / (PAIR_BYTES * numbers))
    return int(2 ** (max(1, min(LARGEST_CHUNK, fitting)).bit_length() - 1))


def _numbers(config: Any) -> int:
    vision, text = config.vision_config, config.text_config
    patches = (vision.image_size // vision.patch_size) ** 2 + 1
    return int(
        patches * vision.hidden_size * vision.num_hidden_layers
        + text.max_position_embeddings * text.hidden_size * text.num_hidden_layers
    )
