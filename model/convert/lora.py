"""A LoRA adapter of PEFT: its configuration, and the branches that it lays beside layers.

A branch adds scale * B A x to what a layer makes of x. Merged, the layer's weight is
W + scale * B A. The adapter may hold whole layers, too (`modules_to_save`), which replace theirs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from model.checkpoints.layouts import ADAPTER_CONFIG, ADAPTER_WEIGHTS, read_json
from model.convert.plan import Weights
from model.convert.weights import read_file, tensors
from model.errors import CheckpointError

PREFIX = "base_model.model."
BRANCH = re.compile(r"(.+)\.lora_(A|B)\.(?:default\.)?weight")
SAVED = re.compile(r"\.modules_to_save(\.default)?(?=\.)")
# Settings under which a branch is not scale * B A, or the base is changed. Unset is false or none.
# `fan_in_fan_out` is not among them: PEFT ignores it for linear layers, and others are refused.
UNSUPPORTED = (
    "use_dora",
    "lora_bias",
    "layer_replication",
    "megatron_config",
    "trainable_token_indices",
    "target_parameters",
    "alora_invocation_tokens",
    "use_qalora",
    "arrow_config",
    "use_bdlora",
)
# Ways to begin a training that leave the base as it is; PiSSA, OLoRA, CorDA and LoftQ change it.
BEGINNINGS = (True, False, "gaussian", "eva", "orthogonal")
# A pattern is a name or a simple expression: one that may take forever is refused.
MAX_PATTERN_CHARS = 200
ENDLESS = re.compile(r"\)[*+{]")


class Branch(NamedTuple):
    """a: [r, in]. b: [out, r]."""

    a: torch.Tensor
    b: torch.Tensor
    scale: float


@dataclass(frozen=True)
class Adapter:
    """branches: by the name of their layer. saved: whole weights by name. base: as it was named."""

    folder: Path
    base: str | None
    branches: dict[str, Branch]
    saved: dict[str, torch.Tensor]


def read_adapter(folder: Path) -> Adapter:
    """Read an adapter.

    Raises:
        CheckpointError: it is broken, or not of the supported kind; the message says which.
    """
    path = folder / ADAPTER_CONFIG
    config = read_json(path)
    _check(path, config)
    weights = next((folder / name for name in ADAPTER_WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise CheckpointError(f"{folder / ADAPTER_WEIGHTS[0]} is missing")
    found = {
        name.removeprefix(PREFIX): one for name, one in tensors(weights, read_file(weights)).items()
    }
    halves = {name: BRANCH.fullmatch(name) for name in found}
    layers = sorted({match[1] for match in halves.values() if match})
    saved = [name for name, match in halves.items() if not match]
    return Adapter(
        folder=folder,
        base=_base(config),
        branches={layer: _branch(weights, found, layer, config) for layer in layers},
        saved=dict(_saved(weights, found, saved, config)),
    )


def merged(adapter: Adapter, base: Weights) -> dict[str, torch.Tensor]:
    """Return the weights of the base with the adapter in them, float32 where it changes them.

    Raises:
        CheckpointError: the adapter does not belong to the base.
    """
    found = dict(base)
    for layer, branch in adapter.branches.items():
        weight = found.get(f"{layer}.weight")
        delta = branch.scale * (branch.b.float() @ branch.a.float())
        if weight is None or weight.shape != delta.shape:
            raise _stranger(adapter, layer)
        found[f"{layer}.weight"] = weight.float() + delta
    for name, one in adapter.saved.items():
        if name not in found or found[name].shape != one.shape:
            raise _stranger(adapter, name)
        found[name] = one
    return found


def _check(path: Path, config: Mapping[str, Any]) -> None:
    kind = config.get("peft_type")
    if kind != "LORA":
        raise CheckpointError(f"{path} describes an adapter of type {kind!r}; LORA is supported")
    used = [key for key in UNSUPPORTED if config.get(key)]
    if config.get("bias", "none") != "none":
        used.append("bias")
    if config.get("init_lora_weights", True) not in BEGINNINGS:
        used.append("init_lora_weights")
    if used:
        raise CheckpointError(
            f'{path}: "{used[0]}" is {config[used[0]]!r}, which is not supported; merge it with '
            "PEFT's merge_and_unload, and convert the result"
        )


def _base(config: Mapping[str, Any]) -> str | None:
    base, revision = config.get("base_model_name_or_path"), config.get("revision")
    if not isinstance(base, str) or not base:
        return None
    return f"{base}@{revision}" if revision and not Path(base).is_dir() else base


def _branch(path: Path, found: Weights, layer: str, config: Mapping[str, Any]) -> Branch:
    halves = []
    for half in "AB":
        names = (f"{layer}.lora_{half}.weight", f"{layer}.lora_{half}.default.weight")
        one = next((found[name] for name in names if name in found), None)
        if one is None:
            raise CheckpointError(f"{path} holds half of the branch at {layer}")
        if one.dim() != 2:
            raise CheckpointError(
                f"{path} has a branch at {layer}, which is no linear layer; only these are "
                "supported"
            )
        halves.append(one)
    a, b = halves
    read_from = path.parent / ADAPTER_CONFIG
    rank = _setting(read_from, config, "rank_pattern", layer, "r")
    alpha = _setting(read_from, config, "alpha_pattern", layer, "lora_alpha")
    if not len(a) == b.shape[1] == rank:
        raise CheckpointError(f"{path} has a branch at {layer} of another rank than its {rank:g}")
    return Branch(a, b, alpha / (math.sqrt(rank) if config.get("use_rslora") else rank))


def _setting(path: Path, config: Mapping[str, Any], patterns: str, layer: str, key: str) -> float:
    """Return the value of the first pattern that fits a layer, as PEFT does, or the general one."""
    special = config.get(patterns) or {}
    fitting = (one for name, one in special.items() if _fits(path, name, layer))
    value: Any = next(fitting, config.get(key))
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise CheckpointError(f'{path}: "{key}" of {layer} is {value!r}, not a number')
    return float(value)


def _fits(path: Path, pattern: str, layer: str) -> bool:
    refusal = CheckpointError(f"{path}: the pattern {pattern[:40]!r} is not supported")
    if len(pattern) > MAX_PATTERN_CHARS or ENDLESS.search(pattern):
        raise refusal
    try:
        return re.match(rf"(.*\.)?({pattern})$", layer) is not None
    except re.error as exc:
        raise refusal from exc


def _saved(
    path: Path, found: Weights, names: Iterable[str], config: Mapping[str, Any]
) -> Iterable[tuple[str, torch.Tensor]]:
    """Yield the weights of whole layers by their names in the base."""
    layers = config.get("modules_to_save") or []
    for name in names:
        own = SAVED.sub("", name)
        if "lora_" in name or not any(f".{layer}." in f".{own}" for layer in layers):
            raise CheckpointError(
                f"{path} holds {name}, which is neither a branch of a linear layer nor a layer in "
                "modules_to_save"
            )
        yield own, found[name]


def _stranger(adapter: Adapter, name: str) -> CheckpointError:
    return CheckpointError(
        f"the adapter in {adapter.folder} changes {name}, which its base does not have in that "
        "shape; name its own base with --base"
    )
