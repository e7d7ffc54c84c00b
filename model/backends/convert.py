"""Conversion of a torch model's towers to OpenVINO graphs by tracing, so the same arithmetic."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from model.backends.runtime import openvino, traced
from model.backends.torch_encoder import TorchEncoder
from model.checkpoints.quiet import quiet_transformers
from model.encoder import TowerName

# Any batch size; for texts also any length, if they are not padded to one.
ANY = -1


class _FromPixels(nn.Module):
    """uint8 [N, S, S, 3] RGB -> float32 [N, D], unit norm."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        planes = pixels.permute(0, 3, 1, 2).float()  # [N, 3, S, S], 0..255
        return nn.functional.normalize(self.tower(planes), dim=-1)


class _FromTokens(nn.Module):
    """int64 [N, L] -> float32 [N, D], unit norm."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(self.tower(ids), dim=-1)


def convert(encoder: TorchEncoder) -> dict[TowerName, openvino.Model]:
    """Return the graphs of the towers `image` and `text`, normalisation included, float32.

    Their weights share the encoder's memory.
    """
    side = encoder.spec.image_size
    pixels = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    length = encoder.tokenizer.fixed_length
    ids = torch.zeros((2, length or 2), dtype=torch.int64)  # [N, L], with the shortest L
    return {
        "image": _trace(_FromPixels(encoder.model.image), pixels, [ANY, side, side, 3]),
        "text": _trace(_FromTokens(encoder.model.text), ids, [ANY, length or ANY]),
    }


@torch.inference_mode()
def _trace(tower: nn.Module, example: torch.Tensor, shape: list[int]) -> openvino.Model:
    """Trace without warnings about conditions on shapes: the tests cover every length of text."""
    try:
        with quiet_transformers(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return traced(tower.eval(), example, shape)
    finally:
        _forget_traces()


def _forget_traces() -> None:
    """Free the traces that TorchScript keeps until the process ends: 55 MB for ViT-B/32.

    There is no public way to free them: pytorch/pytorch issues 35600 and 86537.
    """
    torch.jit._state._clear_class_state()
    torch._C._jit_clear_class_registry()
    torch.jit._recursive.concrete_type_store = torch.jit._recursive.ConcreteTypeStore()
