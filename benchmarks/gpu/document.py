"""The record of a run, written whole after each step: one that is cut short has told all."""

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
        """Of Python and of what is installed."""
        found: dict[str, str] = self._document["versions"]
        return found

    @property
    def parts(self) -> dict[str, Numbers]:
        """What is known of each part."""
        found: dict[str, Numbers] = self._document["parts"]
        return found

    def note(self, part: Part, numbers: Numbers) -> None:
        """A part has come so far."""
        self.ended(part, Ended(RUNNING, 0.0, Found(numbers)))

    def ended(self, part: Part, ended: Ended) -> None:
        """A part has ended."""
        self.parts[part.name] = ended.as_dict()
        self._write()

    def _write(self) -> None:
        write_whole(self.path, json.dumps(self._document, indent=2, default=str) + "\n")
