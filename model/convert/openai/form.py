"""What the shapes of weights do not say of a model with OpenAI's names."""

from __future__ import annotations

from typing import NamedTuple


class Form(NamedTuple):
    """activation: of ViT and texts, in config.json. image_size: S, px.

    Heads of attention of each tower, 0 where it has none. image_epsilon: of the image tower's
    normalisations.
    """

    activation: str
    image_heads: int
    text_heads: int
    image_size: int
    image_epsilon: float = 1e-5
