"""What a folder of open_clip says of a SigLIP: what its weights do not, and how images are made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from model.checkpoints.families import CLIP_IMAGES, SIGLIP_IMAGES
from model.checkpoints.layouts import OPEN_CLIP_CONFIG
from model.convert.open_clip.folder import (
    compare_sizes,
    divisor,
    processor_of,
    read_config,
    refuse_others,
)
from model.convert.plan import Weights
from model.convert.siglip.names import (
    context,
    dimension,
    patch_size,
    patches_a_side,
    rows,
    text_width,
    width,
)
from model.errors import CheckpointError

EXACT, TANH = "gelu", "gelu_pytorch_tanh"
# timm's image towers: heads of attention, and which GELU is in their blocks.
TOWERS: Mapping[str, tuple[int, str]] = {
    "vit_base_patch32_siglip_256": (12, TANH),
    "vit_base_patch16_siglip_224": (12, EXACT),
    "vit_base_patch16_siglip_256": (12, EXACT),
    "vit_base_patch16_siglip_384": (12, EXACT),
    "vit_base_patch16_siglip_512": (12, EXACT),
    "vit_large_patch16_siglip_256": (16, EXACT),
    "vit_large_patch16_siglip_384": (16, EXACT),
    "vit_large_patch16_siglip_512": (16, TANH),
    "vit_so400m_patch14_siglip_224": (16, EXACT),
    "vit_so400m_patch14_siglip_378": (16, EXACT),
    "vit_so400m_patch14_siglip_384": (16, EXACT),
    "vit_so400m_patch16_siglip_256": (16, TANH),
    "vit_so400m_patch16_siglip_384": (16, TANH),
    "vit_so400m_patch16_siglip_512": (16, TANH),
    "vit_giantopt_patch16_siglip_256": (16, TANH),
    "vit_giantopt_patch16_siglip_384": (16, TANH),
}
# Settings of training, or that the shapes of the weights say as well.
FREE = {
    "embed_dim", "vision_cfg", "text_cfg", "custom_text", "init_logit_scale", "init_logit_bias",
    "output_dict", "cast_dtype", "image_size", "timm_model_pretrained", "timm_drop",
    "timm_drop_path", "patch_dropout", "context_length", "vocab_size", "hf_tokenizer_name",
    "width", "heads", "layers", "mlp_ratio", "proj_bias", "norm_kwargs", "act_kwargs", "eos_id",
    "pad_id",
}  # fmt: skip
# The only values of others.
FIXED: Mapping[str, tuple[Any, ...]] = {
    "timm_model_name": tuple(TOWERS),
    "timm_pool": ("map",),
    "timm_proj": ("none",),
    "no_causal_mask": (True,),
    "pool_type": ("last",),
    "proj_type": ("linear", "none"),
    "tokenizer_kwargs": ({"clean": "canonicalize"},),
}
# Of these, unset is something else.
REQUIRED = {
    "vision_cfg": ("timm_pool", "timm_proj"),
    "text_cfg": ("no_causal_mask", "pool_type", "tokenizer_kwargs"),
}
# Of the normalisations: timm's in its towers; open_clip's own of texts, where none is set.
IMAGE_EPSILON = 1e-6
TEXT_EPSILON = 1e-5
ACTIVATIONS = {"none": EXACT, "tanh": TANH}


class Form(NamedTuple):
    """What shapes do not say. image_size: S, px. Heads of attention and GELU of each tower.

    text_epsilon: of the text tower's normalisations.
    """

    image_size: int
    image_heads: int
    image_activation: str
    text_heads: int
    text_activation: str
    text_epsilon: float


def is_siglip(folder: Path) -> bool:
    """Whether the image tower of a folder of open_clip is a SigLIP's. Raises CheckpointError."""
    return read_config(folder)["model_cfg"]["vision_cfg"].get("timm_model_name") in TOWERS


def check_settings(folder: Path, config: Mapping[str, Any]) -> None:
    """Check that a model has the two towers of a SigLIP. Raises CheckpointError."""
    refuse_others(folder, config, FREE, FIXED)
    path, model = folder / OPEN_CLIP_CONFIG, config["model_cfg"]
    for part, keys in REQUIRED.items():
        for key in keys:
            if not (value := model[part].get(key)):
                raise CheckpointError(
                    f'{path}: "{key}" is {value!r}, which is not supported for a SigLIP'
                )


def form_of(folder: Path, config: Mapping[str, Any], weights: Weights) -> Form:
    """Return the form, after a check that sizes and shapes agree. Raises CheckpointError."""
    path, model = folder / OPEN_CLIP_CONFIG, config["model_cfg"]
    vision, text = model["vision_cfg"], model["text_cfg"]
    side, full = vision.get("image_size", 224), patches_a_side(weights) * patch_size(weights)
    # px that fill no patch are not looked at.
    taken = side if side in range(full, full + patch_size(weights)) else full
    compare_sizes(path, {
        "embed_dim": (model.get("embed_dim"), dimension(weights)),
        "vision_cfg.image_size": (side, taken),
        "text_cfg.width": (text.get("width", 512), text_width(weights)),
        "text_cfg.context_length": (text.get("context_length", 77), context(weights)),
        "text_cfg.vocab_size": (text.get("vocab_size", 49408), rows(weights)),
    })  # fmt: skip
    heads, activation = TOWERS[vision["timm_model_name"]]
    return Form(
        side,
        divisor(path, "timm_model_name", heads, width(weights)),
        activation,
        divisor(path, "heads", text.get("heads", 8), text_width(weights)),
        _activation(path, text.get("act_kwargs") or {}),
        _epsilon(path, text.get("norm_kwargs") or {}),
    )


def processor_config(folder: Path, config: Mapping[str, Any], side: int) -> dict[str, Any]:
    """Return preprocessor_config.json. side: S, px.

    Raises:
        CheckpointError: images are prepared in a way that is not supported.
    """
    changes = processor_of(folder, config, side)
    if "size" not in changes:
        raise CheckpointError(
            f"{folder / OPEN_CLIP_CONFIG} prepares images with another resize_mode than 'squash', "
            "which is not supported for a SigLIP"
        )
    # Where none are set, open_clip takes OpenAI's.
    colours = {key: CLIP_IMAGES[key] for key in ("image_mean", "image_std")}
    return {**SIGLIP_IMAGES, "image_processor_type": "SiglipImageProcessor", **colours, **changes}


def _activation(path: Path, given: Mapping[str, Any]) -> str:
    found = ACTIVATIONS.get(given.get("approximate", "none"))
    if found is None or given.keys() - {"approximate"}:
        raise CheckpointError(f'{path}: "act_kwargs" is {given!r}, which is not supported')
    return found


def _epsilon(path: Path, given: Mapping[str, Any]) -> float:
    found = given.get("eps", TEXT_EPSILON)
    if type(found) is not float or found <= 0 or given.keys() - {"eps"}:
        raise CheckpointError(f'{path}: "norm_kwargs" is {given!r}, which is not supported')
    return found
