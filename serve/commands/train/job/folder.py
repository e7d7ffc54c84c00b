"""The folder of a training job, as SageMaker lays it out. Nothing is written here.

"How Amazon SageMaker AI Provides Training Information" in its guide names the files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve.commands.tables.errors import JobError

PLATFORM = Path("/opt/ml")
# Channels of pairs, by the option that takes them.
PAIRS = {"train": "data", "validation": "validation", "forgetting": "forgetting"}
MODEL = "model"
PIPE, SHARDED = "Pipe", "ShardedByS3Key"


@dataclass(frozen=True)
class Cluster:
    """The instances of a job. hosts: sorted, one or more. interface: of the network between them.

    rank: of this instance among them.
    """

    hosts: tuple[str, ...] = ("localhost",)
    rank: int = 0
    interface: str | None = None


class Folder:
    """What a job gives, and where it takes its results from. root: /opt/ml, or as it."""

    def __init__(self, root: Path) -> None:
        self.config, self._data = root / "input" / "config", root / "input" / "data"
        self.model, self.checkpoints = root / "model", root / "checkpoints"
        self.failure, self.page = (
            root / "output" / "failure",
            root / "output" / "data" / "page.html",
        )

    def hyperparameters(self) -> dict[str, str]:
        """Return them by name. Raises JobError: not a flat object of strings."""
        found = self._read("hyperparameters.json")
        for name, value in found.items():
            if not isinstance(value, str):
                raise JobError(f"hyperparameter {name}: {value!r} is no string")
        return found

    def cluster(self) -> Cluster:
        """Return the instances. Raises JobError: this one is not among them."""
        found = self._read("resourceconfig.json")
        if not found:
            return Cluster()
        hosts, own = found.get("hosts"), found.get("current_host")
        if not isinstance(hosts, list) or own not in hosts:
            raise JobError(f"resourceconfig.json: current_host {own!r} is not among hosts {hosts}")
        ordered = tuple(sorted(map(str, hosts)))
        return Cluster(ordered, ordered.index(own), found.get("network_interface_name"))

    def channels(self, cluster: Cluster) -> dict[str, Path]:
        """Return the folder of each channel. Raises JobError: one cannot be used, or is missing."""
        said = self._read("inputdataconfig.json")
        for name, about in said.items():
            _check_channel(name, about, cluster)
        found = {name: self._data / name for name in (*PAIRS, MODEL) if self._is_there(name, said)}
        if "train" not in found:
            raise JobError("there is no channel train, which holds the pairs to train on")
        return found

    def _is_there(self, name: str, said: Mapping[str, Any]) -> bool:
        if name in said and not (self._data / name).is_dir():
            raise JobError(f"channel {name}: there is no folder {self._data / name}")
        return (self._data / name).is_dir()

    def _read(self, name: str) -> dict[str, Any]:
        """Return the object in a file of the configuration; an empty one if there is no file."""
        try:
            found = json.loads((self.config / name).read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as exc:
            raise JobError(f"{name} cannot be read: {exc}") from exc
        if not isinstance(found, dict):
            raise JobError(f"{name} holds no JSON object")
        return found


def _check_channel(name: str, about: Any, cluster: Cluster) -> None:
    """Raise JobError if a channel is none of ours, or its files are not all in its folder."""
    if name not in (*PAIRS, MODEL):
        raise JobError(f"channel {name}: must be one of {', '.join((*PAIRS, MODEL))}")
    facts = about if isinstance(about, dict) else {}
    if facts.get("TrainingInputMode") == PIPE:
        raise JobError(f"channel {name}: its input mode must be File or FastFile, not Pipe")
    if facts.get("S3DistributionType") == SHARDED and len(cluster.hosts) > 1:
        raise JobError(
            f"channel {name}: every instance needs all of it; its S3DataDistributionType must be "
            "FullyReplicated"
        )
