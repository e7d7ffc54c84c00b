"""A LoRA adapter and its base, as one checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.nn import Linear, functional

from model.checkpoints.checkpoint import family_of, locate
from model.checkpoints.hub import download_any
from model.checkpoints.layouts import clip_folder
from model.convert.lora import Adapter, Branch, merged, read_adapter
from model.convert.plan import Plan
from model.convert.transformers_folder import copy_companions
from model.convert.weights import read_folder
from model.errors import CheckpointError
from model.fidelity.parity import Reference, load_reference


def plan(folder: Path, given: str | None) -> Plan:
    """Plan the base with the adapter merged into it. given: a base instead of the adapter's own.

    Raises:
        CheckpointError: one of them is broken, missing, or they do not belong together.
    """
    adapter = read_adapter(folder)
    named = given or adapter.base
    if named is None:
        raise CheckpointError(f"the adapter in {folder} does not name its base; use --base")
    base = _base(named)
    layers = f"{len(adapter.branches)} layers of {named} ({family_of(base).words})"
    return Plan(
        path=folder,
        words=f"a LoRA adapter of PEFT for {layers}",
        weights=merged(adapter, read_folder(base)),
        write_rest=lambda target: copy_companions(base, target),
        source=lambda *_: Reference(base, beside(load_reference(base), adapter)),
    )


def _base(named: str) -> Path:
    """Find the folder of the base. Raises CheckpointError."""
    try:
        found = locate(named)
        return clip_folder(found if isinstance(found, Path) else download_any(found))
    except CheckpointError as exc:
        raise CheckpointError(f"the adapter's base: {exc}; --base names another") from exc


def beside(model: Any, adapter: Adapter) -> Any:
    """Lay the branches beside the layers of transformers' model, as they were trained.

    Raises:
        CheckpointError: a layer is not linear.
    """
    model.load_state_dict(adapter.saved, strict=False)
    modules = dict(model.named_modules())
    for name, branch in adapter.branches.items():
        if not isinstance(modules.get(name), Linear):
            raise CheckpointError(f"the adapter in {adapter.folder} changes {name}: not a layer")
        modules[name].register_forward_hook(_hook(branch))
    return model


def _hook(branch: Branch) -> Any:
    a, b = branch.a.float(), branch.b.float()

    def add(_: Any, inputs: Any, output: Any) -> Any:
        return output + branch.scale * functional.linear(functional.linear(inputs[0], a), b)

    return add
