"""Weights of an image tower that is a module of ours, beside transformers' text tower."""

from __future__ import annotations

from collections.abc import Mapping

import torch

# What their names begin with in a checkpoint, as in OpenAI's files and open_clip's.
PREFIX = "visual."


def inside(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of the tower by their names in it."""
    own = {name: one for name, one in weights.items() if name.startswith(PREFIX)}
    return {name.removeprefix(PREFIX): one for name, one in own.items()}
