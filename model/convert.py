"""Both towers of a loaded torch model as OpenVINO graphs: traced, so the same arithmetic."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model.checkpoint import Checkpoint
from model.graphs import TOKENIZER, graphs_folder, write_manifest
from model.runtime import openvino
from model.torch_encoder import TorchEncoder

# Any batch; of texts, any length.
ANY = -1


class _ImageTower(nn.Module):
    """uint8 [N, S, S, 3] RGB -> float32 [N, D], unit norm."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        planes = pixels.permute(0, 3, 1, 2).float()  # [N, 3, S, S], 0..255
        features = self.model.get_image_features(pixel_values=planes).pooler_output
        return nn.functional.normalize(features, dim=-1)


class _TextTower(nn.Module):
    """int64 [N, L] -> float32 [N, D], unit norm."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        features = self.model.get_text_features(input_ids=ids).pooler_output
        return nn.functional.normalize(features, dim=-1)


def convert(encoder: TorchEncoder) -> tuple[openvino.Model, openvino.Model]:
    """The graphs of the image and of the text tower, normalisation inside, float32.

    They share the encoder's memory for their weights.
    """
    side = encoder.spec.image_size
    pixels = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    ids = torch.zeros((2, 2), dtype=torch.int64)  # [N, L], the shortest there is
    return (
        _trace(_ImageTower(encoder.model), pixels, [ANY, side, side, 3]),
        _trace(_TextTower(encoder.model), ids, [ANY, ANY]),
    )


def export(checkpoint: Checkpoint, encoder: TorchEncoder, artifact: Path) -> Path:
    """Save the float32 graphs into an artifact's folder. Returns where they are."""
    folder = graphs_folder(artifact, "float32")
    folder.mkdir(parents=True, exist_ok=True)
    for name, graph in zip(("image", "text"), convert(encoder), strict=True):
        # Its own default would round the weights to float16.
        openvino.save_model(graph, folder / f"{name}.xml", compress_to_fp16=False)
    encoder.tokenizer.save(folder / TOKENIZER)
    write_manifest(folder, checkpoint, encoder.tokenizer.end)
    return folder


@torch.inference_mode()
def _trace(tower: nn.Module, example: torch.Tensor, shape: list[int]) -> openvino.Model:
    with warnings.catch_warnings():
        # Of every condition on a shape; tests hold the graphs against the model at all lengths.
        warnings.simplefilter("ignore")
        return openvino.convert_model(tower.eval(), example_input=example, input=[shape])
