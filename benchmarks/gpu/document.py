"""Record of a run, rewritten after each step, so that an aborted run keeps its results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.gpu.parts import Part
from benchmarks.gpu.plan import Ended, Found, Numbers
from benchmarks.record import facts
from model.files import write_whole

NAME = "gpu.json"
RUNNING = "running"


class Document:
    """`gpu.json` in a folder."""

    def __init__(self, folder: Path, command: str, options: Numbers) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / NAME
        self._document: dict[str, Any] = facts(command) | {"options": options, "parts": {}}

    @property
    def versions(self) -> dict[str, str]:
        """Versions of Python and of installed packages."""
        found: dict[str, str] = self._document["versions"]
        return found

    @property
    def parts(self) -> dict[str, Numbers]:
        """The record of each part so far."""
        found: dict[str, Numbers] = self._document["parts"]
        return found

    def note(self, part: Part, numbers: Numbers) -> None:
        """Record the numbers of a running part."""
        self.ended(part, Ended(RUNNING, 0.0, Found(numbers)))

    def ended(self, part: Part, ended: Ended) -> None:
        """Record how a part ended."""
        self.parts[part.name] = ended.as_dict()
        self._write()

    def _write(self) -> None:
        write_whole(self.path, json.dumps(self._document, indent=2, default=str) + "\n")
