"""The plan for a folder of open_clip that holds a SigLIP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.families import SIGLIP
from model.checkpoints.layouts import CONFIG
from model.checkpoints.tokenizer import Tokenizer
from model.convert.open_clip.folder import read_config, read_weights
from model.convert.plan import Plan, Weights
from model.convert.siglip import names
from model.convert.siglip.reference import OpenClipSiglip
from model.convert.siglip.settings import (
    IMAGE_EPSILON,
    Form,
    check_settings,
    form_of,
    processor_config,
)
from model.convert.siglip.tokenizer import read_tokenizer, write_tokenizer
from model.images.preprocess import ImagePreprocessing


def plan(folder: Path) -> Plan:
    """Plan a checkpoint of transformers' SigLIP. Raises CheckpointError."""
    config = read_config(folder)
    check_settings(folder, config)
    weights = names.checked(folder, read_weights(folder))
    form = form_of(folder, config, weights)
    processor = processor_config(folder, config, form.image_size)
    tokenizer = read_tokenizer(folder)
    described = _config(weights, form) | {"model_type": SIGLIP.name}
    described["text_config"] |= {
        key: getattr(tokenizer, key) for key in ("pad_token_id", "eos_token_id", "bos_token_id")
    }

    def write_rest(target: Path) -> None:
        (target / CONFIG).write_text(json.dumps(described, indent=2) + "\n")
        write_tokenizer(tokenizer, target, names.context(weights), names.rows(weights))
        (target / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")

    return Plan(
        path=folder,
        words=f"a checkpoint of open_clip: SigLIP, {_words(weights)}, images of {form.image_size} "
        f"px, {form.image_activation}",
        weights=names.renamed(weights),
        write_rest=write_rest,
        source=lambda checkpoint, tokenizer: _source(
            checkpoint, tokenizer, weights, form, processor
        ),
    )


def _config(weights: Weights, form: Form) -> dict[str, Any]:
    """Return both towers for config.json."""
    vision = {
        "model_type": "siglip_vision_model",
        "hidden_size": names.width(weights),
        "num_attention_heads": form.image_heads,
        "image_size": form.image_size,
        "patch_size": names.patch_size(weights),
        "hidden_act": form.image_activation,
        "layer_norm_eps": IMAGE_EPSILON,
        **names.image_depth(weights),
    }
    text = {
        "model_type": "siglip_text_model",
        "hidden_size": names.text_width(weights),
        "num_attention_heads": form.text_heads,
        "max_position_embeddings": names.context(weights),
        "vocab_size": names.rows(weights),
        "hidden_act": form.text_activation,
        "layer_norm_eps": form.text_epsilon,
        "projection_size": names.dimension(weights),
        **names.text_depth(weights),
    }
    return {"vision_config": vision, "text_config": text}


def _words(weights: Weights) -> str:
    layers = names.image_depth(weights)["num_hidden_layers"]
    return f"{layers} layers of {names.width(weights)}, patches of {names.patch_size(weights)} px"


def _source(
    checkpoint: Checkpoint,
    tokenizer: Tokenizer,
    weights: Weights,
    form: Form,
    processor: Mapping[str, Any],
) -> OpenClipSiglip:
    """Return open_clip's model with the pixels and tokens of the written checkpoint."""
    return OpenClipSiglip(
        weights,
        form,
        ImagePreprocessing(checkpoint.geometry, "reference"),
        lambda texts: tokenizer(texts)[0],
        (processor["image_mean"], processor["image_std"]),
    )
