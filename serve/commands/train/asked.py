"""What a run of `train` is asked for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve.commands.train.data.columns import Columns

# Of the folder beside the output that holds pixels and checkpoints.
WORK_END = ".training"
CHECKPOINTS = "checkpoints"
# Options that only matter once the weights are trained: they go on from the same checkpoints.
AFTERWARDS = ("interpolate", "sweep", "keep_worse")
NAME_CHARS = 16


@dataclass(frozen=True)
class Asked:
    """What to train on, and where the results go.

    data, validation, forgetting: tables, folders, tars. work: None is a folder beside the output,
    for as long as the training lasts. checkpoints: None is `work`. options: those of
    `model.training.options.TrainOptions` that were given.
    """

    data: tuple[str, ...]
    validation: tuple[str, ...]
    forgetting: tuple[str, ...]
    columns: Columns
    max_bad: float
    output: str
    work: str | None
    checkpoints: str | None
    report: str | None
    options: dict[str, Any]
    as_json: bool

    @property
    def work_folder(self) -> Path:
        """Where pixels and checkpoints are."""
        given = self.work or f"{self.output.rstrip('/')}{WORK_END}"
        return Path(given)

    @property
    def checkpoints_folder(self) -> Path:
        """Where checkpoints are."""
        return self.work_folder if self.checkpoints is None else Path(self.checkpoints)

    def kept(self) -> str:
        """Say what is kept of a training that wrote nothing."""
        if self.checkpoints is None:
            return f"pixels and checkpoints are kept in {self.work_folder}"
        return f"checkpoints are kept in {self.checkpoints}"

    def name_of_checkpoints(self, base: str, data: dict[str, Any]) -> str:
        """Return a name that another training in the same folder does not have.

        data: sizes and digests of the sets.
        """
        options = {name: one for name, one in self.options.items() if name not in AFTERWARDS}
        facts = json.dumps([base, data, options], sort_keys=True)
        return f"{CHECKPOINTS}-{hashlib.sha256(facts.encode()).hexdigest()[:NAME_CHARS]}"

    def sources(self) -> dict[str, Any]:
        """Return where the pairs come from, for JSON."""
        named = {name: getattr(self, name) for name in ("data", "validation", "forgetting")}
        columns = {f"{name}_column": value for name, value in vars(self.columns).items()}
        return named | columns | {"max_bad": self.max_bad}
