"""Whether weights are all of a model, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from model.convert.plan import Weights
from model.errors import CheckpointError


class What(NamedTuple):
    """A layout of names, for messages. whose: with its apostrophe. model: what people call it."""

    whose: str
    model: str


OPENAIS = What("OpenAI's", "CLIP")


def require(path: Path, found: Weights, names: Iterable[str], what: What) -> None:
    """Check that the weights are there that tell the sizes.

    Raises:
        CheckpointError: one is not.
    """
    if missing := [name for name in names if name not in found]:
        raise CheckpointError(
            f"{path} holds no {missing[0]}: not {what.whose} layout of a {what.model}"
        )


def compare(path: Path, found: Weights, shapes: Mapping[str, tuple[int, ...]], what: What) -> None:
    """Compare weights with the shapes of a whole model.

    Raises:
        CheckpointError: one is missing, has another shape, or is not of the model.
    """
    for name, shape in shapes.items():
        if name not in found:
            raise CheckpointError(f"{path} holds no {name}: not all weights of a {what.model}")
        if (given := tuple(found[name].shape)) != shape:
            raise CheckpointError(f"{path} holds {name} of shape {given}, not {shape}")
    if others := [name for name in found if name not in shapes]:
        raise CheckpointError(
            f"{path} holds {others[0]}, which {what.whose} {what.model} does not have"
        )
