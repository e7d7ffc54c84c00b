"""Which weights a training changes, and the plain weights that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from model.errors import TrainingError
from model.training.dual_encoder import DualEncoder
from model.training.options import TrainOptions

Weights = Mapping[str, torch.Tensor]
# The parts of transformers' models, by tower; the rest is the temperature and its bias.
TOWERS = {
    "image": ("vision_model.", "visual_projection."),
    "text": ("text_model.", "text_projection."),
}
# Linear layers of a block, and the projections. SigLIP's pooling head has an attention of torch's,
# which stays.
LORA_LAYERS = (
    "q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2",
    "visual_projection", "text_projection", "head",
)  # fmt: skip
BLOCK = ".encoder.layers."
LORA_PARTS, INSIDE_LORA = (".lora_A.", ".lora_B."), ".base_layer."


def choose(model: DualEncoder, options: TrainOptions) -> None:
    """Let the weights that the options name be trained, and no others.

    Raises:
        TrainingError: there are fewer blocks than named.
    """
    inner: Any = model.model
    inner.requires_grad_(False)
    towers: list[str] = list(TOWERS) if options.what == "all" else [options.what]
    if options.lora:
        _add_lora(inner, options.lora, towers)
    else:
        for tower in towers:
            _choose_blocks(inner, tower, options.last_blocks)
    for name in ("logit_scale", "logit_bias"):
        if (number := getattr(inner, name, None)) is not None:
            number.requires_grad_(True)


def trained(model: DualEncoder) -> dict[str, torch.Tensor]:
    """Return copies of the weights that change, on the CPU."""
    found = {name: one for name, one in model.named_parameters() if one.requires_grad}
    return {name: one.detach().cpu().clone() for name, one in found.items()}


def restore(model: DualEncoder, weights: Weights) -> None:
    """Put back what `trained` returned."""
    model.load_state_dict(dict(weights), strict=False)


@torch.no_grad()
def plain_weights(model: DualEncoder) -> dict[str, torch.Tensor]:
    """Return the weights by their names in the checkpoint, float32 on the CPU, LoRA merged."""
    found = {
        name.replace(INSIDE_LORA, "."): one.detach().float().cpu().clone()
        for name, one in model.model.state_dict().items()
        if not any(part in name for part in LORA_PARTS)
    }
    for name, module in model.model.named_modules():
        if hasattr(module, "lora_A"):
            found[f"{name}.weight"] += module.get_delta_weight("default").float().cpu()
    return found


def interpolated(base: Weights, tuned: Weights, share: float) -> dict[str, torch.Tensor]:
    """Return share * tuned + (1 - share) * base, by name.

    Wortsman et al., "Robust fine-tuning of zero-shot models" (2022): it keeps much of what the
    base could and most of what was learned.
    """
    if share == 1:
        return dict(tuned)
    return {name: torch.lerp(base[name].to(one), one, share) for name, one in tuned.items()}


def put(model: DualEncoder, weights: Weights) -> None:
    """Make the model compute with plain weights; LoRA's branches, if any, are taken away."""
    inner: Any = model.model
    for name, module in list(inner.named_modules()):
        if hasattr(module, "lora_A"):
            parent, _, last = name.rpartition(".")
            setattr(inner.get_submodule(parent), last, module.base_layer)
    inner.load_state_dict(dict(weights))


def _choose_blocks(inner: nn.Module, tower: str, last: int | None) -> None:
    """Train a tower, or its last blocks and what comes after them."""
    names = [name for name, _ in inner.named_parameters() if name.startswith(TOWERS[tower])]
    numbers = {int(name.split(BLOCK)[1].split(".")[0]) for name in names if BLOCK in name}
    if last is not None and not 0 <= last <= len(numbers):
        raise TrainingError(f"the {tower} tower has {len(numbers)} blocks, not {last}")
    first = 0 if last is None else len(numbers) - last
    for name in names:
        if BLOCK in name:
            chosen = int(name.split(BLOCK)[1].split(".")[0]) >= first
        else:
            chosen = last is None or not _is_before_blocks(name)
        inner.get_parameter(name).requires_grad_(chosen)


def _is_before_blocks(name: str) -> bool:
    return ".embeddings." in name or ".pre_layrnorm." in name


def _add_lora(inner: nn.Module, rank: int, towers: list[str]) -> None:
    """Lay PEFT's branches beside the linear layers of towers; they alone are trained."""
    from peft import LoraConfig, inject_adapter_in_model

    prefixes = tuple(prefix.rstrip(".") for tower in towers for prefix in TOWERS[tower])
    layers = [
        name
        for name, module in inner.named_modules()
        if isinstance(module, nn.Linear)
        and type(module) is nn.Linear
        and name.startswith(prefixes)
        and name.rpartition(".")[2] in LORA_LAYERS
    ]
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=layers, lora_dropout=0.0)
    inject_adapter_in_model(config, inner)
