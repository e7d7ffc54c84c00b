"""Comparison of our pixels and embeddings with transformers', on the same checkpoint."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoTokenizer, CLIPModel, CLIPTextModelWithProjection, SiglipModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from model.backends.towers.load import float_weights, image_epsilon
from model.backends.towers.visual import inside
from model.checkpoints.checkpoint import family_of
from model.checkpoints.families import CLIP, CONVNEXT, RESNET, SIGLIP
from model.checkpoints.layouts import has_safetensors
from model.checkpoints.quiet import quiet_transformers
from model.encoder import Encoder, Float32Array
from model.fidelity import convnext_reference, resnet_reference
from model.fidelity.cosines import Fidelity, fidelity

Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Parity:
    """max_pixel_difference: of 255, between our pixels and the reference's."""

    max_pixel_difference: int
    images: Fidelity
    texts: Fidelity


class Reference:
    """The source's own processor, tokenizer and model, used as their documentation shows.

    They are transformers', but for the image tower of a ResNet (`resnet_reference`) or a ConvNeXt
    (`convnext_reference`).

    model: as `load_reference` returns it, perhaps changed since; None loads the folder's own.
    """

    def __init__(self, folder: Path, model: Any = None) -> None:
        family = family_of(folder)
        processor = SiglipImageProcessorPil if family is SIGLIP else CLIPImageProcessorPil
        self._processor = processor.from_pretrained(folder, local_files_only=True)
        with quiet_transformers():
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._features = FEATURES[family.name](folder, model)

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
        return _unit_norm(self._features.of_images(batch["pixel_values"]))

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Float32Array:
        """Embed N texts, padded to the context. Returns float32 [N, D], unit norm."""
        batch = self._tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=self._features.context_length,
            return_attention_mask=True,
            return_tensors="pt",
        )
        return _unit_norm(self._features.of_texts(batch["input_ids"], batch["attention_mask"]))


class _Features(NamedTuple):
    """of_images: normalised pixels to [N, D]. of_texts: tokens and their mask to [N, D]."""

    of_images: Callable[[torch.Tensor], torch.Tensor]
    of_texts: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    context_length: int


def _whole(folder: Path, model: Any) -> _Features:
    """Both towers of one model. A family that pads its texts was trained to see the padding."""
    model = model or load_reference(folder)
    sees_padding = family_of(folder).pads_texts

    def of_texts(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        features = model.get_text_features(ids, None if sees_padding else mask)
        pooled: torch.Tensor = features.pooler_output
        return pooled

    return _Features(
        lambda pixels: model.get_image_features(pixels).pooler_output,
        of_texts,
        model.config.text_config.max_position_embeddings,
    )


def _resnet(folder: Path, model: Any) -> _Features:
    return _beside_clips_text(folder, model, resnet_reference.embed)


def _convnext(folder: Path, model: Any) -> _Features:
    embed = partial(convnext_reference.embed, epsilon=image_epsilon(folder))
    return _beside_clips_text(folder, model, embed)


def _beside_clips_text(
    folder: Path, model: Any, embed: Callable[[Weights, torch.Tensor], torch.Tensor]
) -> _Features:
    """Features of transformers' text tower of CLIP, and of an image tower by its weights."""
    text = model or load_reference(folder)
    of_image = inside(float_weights(folder))
    return _Features(
        lambda pixels: embed(of_image, pixels),
        lambda ids, mask: text(ids, mask).text_embeds,
        text.config.max_position_embeddings,
    )


FEATURES = {
    CLIP.name: _whole,
    SIGLIP.name: _whole,
    RESNET.name: _resnet,
    CONVNEXT.name: _convnext,
}
MODELS: dict[str, Any] = {
    CLIP.name: CLIPModel,
    SIGLIP.name: SiglipModel,
    RESNET.name: CLIPTextModelWithProjection,
    CONVNEXT.name: CLIPTextModelWithProjection,
}


def load_reference(folder: Path) -> Any:
    """Return transformers' model of a folder in float32, with weights in either form."""
    with quiet_transformers():
        model = MODELS[family_of(folder).name].from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=has_safetensors(folder),
            dtype=torch.float32,
        )
    return model.eval()


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
