"""A checkpoint as a module that can be trained: pairs in, unit-norm embeddings out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from model.backends.towers.load import load_whole
from model.checkpoints.checkpoint import Checkpoint


class Embedded(NamedTuple):
    """images, texts: float32 [N, D], unit norm. scale: log of the factor of cosines; bias."""

    images: torch.Tensor
    texts: torch.Tensor
    scale: torch.Tensor
    bias: torch.Tensor | None

    @property
    def numbers(self) -> list[torch.Tensor]:
        """The scale and, if there is one, the bias."""
        return [one for one in (self.scale, self.bias) if one is not None]


class DualEncoder(nn.Module):
    """transformers' model of a checkpoint, fed with pixels as serving feeds it.

    Nothing is folded into its weights, so their names and values are those of the checkpoint.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Raises CheckpointError: the family cannot be fine-tuned, or the weights are broken."""
        super().__init__()
        self.kind = checkpoint.family.score
        self.model = load_whole(checkpoint)
        for name, values in (("mean", checkpoint.mean), ("std", checkpoint.std)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    @property
    def width(self) -> int:
        """Channels of the image tower."""
        return int(self.model.config.vision_config.hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.mean.device

    def forward(self, pixels: torch.Tensor, tokens: torch.Tensor) -> Embedded:
        """Embed pairs. pixels: uint8 [N, S, S, 3] RGB. tokens: int64 [N, L]."""
        bias = getattr(self.model, "logit_bias", None)
        return Embedded(
            self.embed_images(pixels),
            self.embed_texts(tokens),
            self.model.logit_scale,
            bias,
        )

    def embed_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 [N, S, S, 3] RGB to float32 [N, D], unit norm."""
        planes = pixels.permute(0, 3, 1, 2).float() / 255
        pooled = self.model.vision_model((planes - self.mean) / self.std).pooler_output
        return self._unit_norm(pooled, "visual_projection")

    def embed_texts(self, tokens: torch.Tensor) -> torch.Tensor:
        """int64 [N, L] to float32 [N, D], unit norm."""
        return self._unit_norm(self.model.text_model(tokens).pooler_output, "text_projection")

    def _unit_norm(self, pooled: torch.Tensor, projection: str) -> torch.Tensor:
        """Project, where the family does, and normalize."""
        project = getattr(self.model, projection, None)
        features = pooled if project is None else project(pooled)
        return nn.functional.normalize(features.float(), dim=-1)
