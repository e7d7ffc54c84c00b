"""Comparison of our pixels and embeddings with transformers', on the same checkpoint."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoTokenizer, CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.utils.logging import disable_progress_bar

from model.encoder import Encoder, Float32Array
from model.fidelity.cosines import Fidelity, fidelity


@dataclass(frozen=True)
class Parity:
    """max_pixel_difference: of 255, between our pixels and the reference's."""

    max_pixel_difference: int
    images: Fidelity
    texts: Fidelity


class Reference:
    """transformers' processor, tokenizer and model, used as their documentation shows."""

    def __init__(self, folder: Path) -> None:
        self._processor = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers'
        model: Any = CLIPModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        self._model = model.eval()

    def pixels(self, image: bytes) -> NDArray[np.uint8]:
        """Return uint8 [S, S, 3]: the processor's pixels before it rescales and normalises."""
        batch = self._processor(
            _open(image), do_rescale=False, do_normalize=False, return_tensors="np"
        )
        planes: NDArray[np.uint8] = batch["pixel_values"][0].astype(np.uint8)
        return planes.transpose(1, 2, 0)

    @torch.inference_mode()
    def embed_images(self, images: Sequence[bytes]) -> Float32Array:
        """Embed N images. Returns float32 [N, D], unit norm."""
        batch = self._processor([_open(image) for image in images], return_tensors="pt")
        return _unit_norm(self._model.get_image_features(**batch).pooler_output)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Float32Array:
        """Embed N texts, padded to the context and masked. Returns float32 [N, D], unit norm."""
        length = self._model.config.text_config.max_position_embeddings
        batch = self._tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=length,
            return_tensors="pt",
        )
        return _unit_norm(self._model.get_text_features(**batch).pooler_output)


def compare(
    encoder: Encoder, reference: Reference, images: Sequence[bytes], texts: Sequence[str]
) -> Parity:
    """Embed the same images and texts with both. The encoder's policy should be `reference`."""
    pixels = [encoder.spec.preprocessing(image) for image in images]
    differences = [
        np.abs(ours.astype(int) - reference.pixels(image)).max()
        for ours, image in zip(pixels, images, strict=True)
    ]
    return Parity(
        max_pixel_difference=int(max(differences)),
        images=fidelity(encoder.encode_images(np.stack(pixels)), reference.embed_images(images)),
        texts=fidelity(encoder.encode_texts(texts)[0], reference.embed_texts(texts)),
    )


def _open(image: bytes) -> Image.Image:
    return Image.open(io.BytesIO(image))


def _unit_norm(features: torch.Tensor) -> Float32Array:
    result: Float32Array = (features / features.norm(dim=-1, keepdim=True)).numpy()
    return result
