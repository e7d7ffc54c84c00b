"""What a training has seen so far, and how it is kept beside a checkpoint of the Trainer.

The Trainer keeps weights, optimizer, schedule and the state of random numbers in a folder
`checkpoint-STEP`. Beside them are the best weights so far and, written last, the history. A folder
without a history was not finished when the process ended, and is taken away. So is one that lacks
a file of those in its history: SageMaker copies checkpoints to S3 file by file, in any order.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from model.errors import TrainingError
from model.files import write_whole
from model.training.gathered import rank

HISTORY, BEST = "history.json", "best.safetensors"
# Of the files of the Trainer, those of one process alone: it goes on without them.
OF_ONE = "rng_state*"
CHECKPOINT = re.compile(r"checkpoint-(\d+)")


@dataclass
class History:
    """Grows while a training runs.

    identity: of the base, the pairs and the options; only equal ones go on from each other.
    first: the base's score. before: its results. score: of the best so far. losses: of every step.
    epochs: results of each, as JSON has them. best_epoch: 0 while none is as good as the base.
    best: its weights, on the CPU. ended: there is nothing more to train. took_s: of steps alone.
    """

    identity: str
    first: float
    score: float
    before: dict[str, Any]
    losses: list[float] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    ended: bool = False
    took_s: float = 0.0

    def save(self, folder: Path) -> None:
        """Write it into the Trainer's finished folder. Raises OSError."""
        save_file(self.best, folder / BEST)
        facts = {name: one for name, one in vars(self).items() if name != "best"}
        write_whole(folder / HISTORY, json.dumps(facts | {"files": _sizes(folder)}))


def latest(checkpoints: Path, identity: str) -> tuple[Path, History] | None:
    """Return the last finished checkpoint and its history, or None. Takes unfinished ones away.

    Raises:
        TrainingError: the folder holds checkpoints of another training.
    """
    found = sorted(
        (int(match[1]), path)
        for path in (checkpoints.iterdir() if checkpoints.is_dir() else ())
        if (match := CHECKPOINT.fullmatch(path.name))
    )
    finished = None
    for _, path in found:
        if (facts := _facts(path)) is not None:
            finished = path, facts
        elif rank() == 0:
            shutil.rmtree(path)
    return None if finished is None else (finished[0], _history(*finished, identity))


def _facts(folder: Path) -> dict[str, Any] | None:
    """Return what a checkpoint's history holds; None if the checkpoint is not whole."""
    try:
        facts: dict[str, Any] = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    there, needed = _sizes(folder), facts.pop("files", {})
    return facts if all(there.get(name) == size for name, size in needed.items()) else None


def _sizes(folder: Path) -> dict[str, int]:
    """Return the bytes of each file that a training needs to go on, besides its history."""
    return {
        path.name: path.stat().st_size
        for path in folder.iterdir()
        if path.is_file() and path.name != HISTORY and not path.match(OF_ONE)
    }


def _history(folder: Path, facts: dict[str, Any], identity: str) -> History:
    if facts["identity"] != identity:
        raise TrainingError(
            f"{folder.parent} holds checkpoints of a training with another base, other pairs or "
            "other options; choose an empty folder"
        )
    return History(**facts, best=load_file(folder / BEST))
