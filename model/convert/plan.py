"""What a source becomes, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.tokenizer import Tokenizer
from model.fidelity.check import Source

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Plan:
    """A source that was read.

    path: its folder or file, for messages. words: what was found in it. weights: by transformers'
    names. write_rest: writes all other files of a checkpoint to a folder. source: embeds as the
    source itself does; it may use sizes, pixels and tokenizer of the written checkpoint.
    """

    path: Path
    words: str
    weights: Weights
    write_rest: Callable[[Path], None]
    source: Callable[[Checkpoint, Tokenizer], Source]
