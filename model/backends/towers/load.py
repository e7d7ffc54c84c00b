"""The towers of each family on torch, loaded by transformers, with the normalisation folded in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import (
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    SiglipModel,
)

from model.backends.memory_errors import memory_errors
from model.backends.towers.convnext import ConvNextShape, ConvNextTower
from model.backends.towers.fold import fold_normalization
from model.backends.towers.resnet import COUNTER, ResNetShape, ResNetTower
from model.backends.towers.visual import PREFIX, inside
from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.families import CLIP, CONVNEXT, RESNET, SIGLIP
from model.checkpoints.faults import checkpoint_faults
from model.checkpoints.layouts import CONFIG, read_json
from model.checkpoints.quiet import quiet_transformers
from model.checkpoints.weights import weight_files
from model.errors import CheckpointError

Weights = Mapping[str, torch.Tensor]
# Before transformers 4.31 every configuration of CLIP said 2, which stands for the highest id.
LEGACY_END = 2


class Vocabulary(NamedTuple):
    """What a text tower expects of its tokenizer. rows: ids are below it. end: None is any."""

    rows: int
    end: int | None


class Towers(nn.Module):
    """Two modules.

    image: unit * pixels of 0..255, float [N, 3, S, S], to [N, D]. text: int64 [N, L] to [N, D].
    """

    def __init__(self, image: nn.Module, text: nn.Module, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.image, self.text, self.vocabulary = image, text, vocabulary


class _Projected(nn.Module):
    """A tower of CLIP's: pooled, then projected."""

    def __init__(self, tower: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.tower, self.projection = tower, projection

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.projection(self.tower(batch).pooler_output)
        return features


class _Pooled(nn.Module):
    """A tower of SigLIP's: its pooling head is its projection."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.tower(batch).pooler_output
        return features


def load_towers(checkpoint: Checkpoint, unit: float) -> Towers:
    """Load a checkpoint's towers in float32. unit: the factor of the pixels that they will get.

    Raises:
        CheckpointError: the weights are not there, or not those that config.json describes.
        OutOfMemory.
    """
    weight_files(checkpoint.folder)
    towers = LOADERS[checkpoint.family.name](checkpoint, unit)
    return towers.eval().requires_grad_(requires_grad=False)


def _clip(checkpoint: Checkpoint, unit: float) -> Towers:
    model = _folded(CLIPModel, checkpoint, unit)
    image = _Projected(model.vision_model, model.visual_projection)
    return Towers(image, *_clip_text(model))


def _siglip(checkpoint: Checkpoint, unit: float) -> Towers:
    model = _folded(SiglipModel, checkpoint, unit)
    vocabulary = Vocabulary(_rows(model.text_model), end=None)
    return Towers(_Pooled(model.vision_model), _Pooled(model.text_model), vocabulary)


def _resnet(checkpoint: Checkpoint, unit: float) -> Towers:
    def tower(weights: Weights) -> nn.Module:
        shape = ResNetShape.of(weights, checkpoint.image_size, checkpoint.dimension)
        return ResNetTower(shape, checkpoint.mean, checkpoint.std, unit)

    image, text = _beside_clips_text(checkpoint, tower)
    return Towers(image, *_clip_text(text))


def _convnext(checkpoint: Checkpoint, unit: float) -> Towers:
    def tower(weights: Weights) -> nn.Module:
        return ConvNextTower(ConvNextShape.of(weights, image_epsilon(checkpoint.folder)))

    image, text = _beside_clips_text(checkpoint, tower)
    image.fold(checkpoint.mean, checkpoint.std, unit)
    return Towers(image, *_clip_text(text))


# Models of transformers that hold both towers.
WHOLE = {CLIP.name: CLIPModel, SIGLIP.name: SiglipModel}


def load_whole(checkpoint: Checkpoint) -> Any:
    """Load transformers' model of both towers in float32, with nothing folded into it.

    Raises:
        CheckpointError: as `load_towers`, or the family has no such model. OutOfMemory.
    """
    kind = WHOLE.get(checkpoint.family.name)
    if kind is None:
        raise CheckpointError(
            f"{checkpoint.folder} holds {checkpoint.family.words}, which cannot be fine-tuned; "
            f"{' and '.join(repr(name) for name in WHOLE)} can"
        )
    return _loaded(kind, checkpoint)


LOADERS = {
    CLIP.name: _clip,
    SIGLIP.name: _siglip,
    RESNET.name: _resnet,
    CONVNEXT.name: _convnext,
}


def image_epsilon(folder: Path) -> float:
    """Return the epsilon of an image tower of ours from config.json. Raises CheckpointError."""
    with checkpoint_faults("the image tower", folder / CONFIG):
        return float(read_json(folder / CONFIG)["vision_config"]["layer_norm_eps"])


def _beside_clips_text(
    checkpoint: Checkpoint, tower: Callable[[Weights], nn.Module]
) -> tuple[Any, Any]:
    """Fill an image tower of ours, made for its weights, and transformers' text tower of CLIP."""
    with checkpoint_faults("the model", checkpoint.folder), memory_errors(), quiet_transformers():
        weights = float_weights(checkpoint.folder)
        config = CLIPTextConfig.from_pretrained(checkpoint.folder, local_files_only=True)
        text = CLIPTextModelWithProjection(config)
        _fill(text, weights, "", checkpoint)
        image = tower(inside(weights))
        _fill(image, inside(weights), PREFIX, checkpoint)
    return image, text


def float_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Read the weights of a folder in float32, without counters."""
    found: dict[str, torch.Tensor] = {}
    for path in weight_files(folder):
        found |= load_file(path)
    return {name: one.float() for name, one in found.items() if one.is_floating_point()}


def _clip_text(model: Any) -> tuple[nn.Module, Vocabulary]:
    text = model.text_model
    end = None if text.eos_token_id == LEGACY_END else text.eos_token_id
    return _Projected(text, model.text_projection), Vocabulary(_rows(text), end)


def _rows(text: Any) -> int:
    return int(text.embeddings.token_embedding.num_embeddings)


def _fill(module: nn.Module, weights: Weights, prefix: str, checkpoint: Checkpoint) -> None:
    """Put weights into a module. prefix: of their names in the file. Raises CheckpointError."""
    missing, _ = module.load_state_dict(weights, strict=False)
    if missing := [name for name in missing if not name.endswith(COUNTER)]:
        raise CheckpointError(f"the weights in {checkpoint.folder} lack {prefix}{min(missing)}")


def _folded(kind: Any, checkpoint: Checkpoint, unit: float) -> Any:
    """Load transformers' model, and fold the normalisation into its first convolution."""
    model = _loaded(kind, checkpoint)
    embeddings = model.vision_model.embeddings
    embeddings.patch_embedding = fold_normalization(
        embeddings.patch_embedding, checkpoint.mean, checkpoint.std, unit
    )
    return model


def _loaded(kind: Any, checkpoint: Checkpoint) -> Any:
    """Load transformers' model and check that the weights are all of it."""
    # Of configurations that name tokens of another model, as SigLIP's do, it warns.
    with checkpoint_faults("the model", checkpoint.folder), memory_errors(), quiet_transformers():
        model, report = kind.from_pretrained(
            checkpoint.folder,
            use_safetensors=True,
            local_files_only=True,
            dtype=torch.float32,
            attn_implementation="sdpa",
            output_loading_info=True,
        )
    if report["missing_keys"]:
        missing = min(report["missing_keys"])
        raise CheckpointError(f"the weights in {checkpoint.folder} lack {missing}")
    if spare := [key for key in report["unexpected_keys"] if ".layers." in key]:
        raise CheckpointError(
            f"the weights in {checkpoint.folder} hold {min(spare)}: "
            "more layers than config.json says"
        )
    return model
