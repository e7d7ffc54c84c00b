"""The note of a whole part, which is written after its fragment."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import NamedTuple

from lance.fragment import FragmentMetadata

from serve.commands.bulk.output.part_files import PartReport


class Note(NamedTuple):
    """A part and its fragment. again: the fragment replaces that of the part in the table."""

    report: PartReport
    fragment: FragmentMetadata
    again: bool

    @property
    def file(self) -> str:
        """The name of the fragment's file."""
        return str(self.fragment.files[0].path)

    def to_json(self) -> bytes:
        """Return what `of_json` reads."""
        fragment = self.fragment.to_json()
        kept = {"report": asdict(self.report), "fragment": fragment, "again": self.again}
        return json.dumps(kept).encode()

    @classmethod
    def of_json(cls, kept: bytes) -> Note:
        """Read a note."""
        found = json.loads(kept)
        fragment = FragmentMetadata.from_json(json.dumps(found["fragment"]))
        return cls(PartReport(**found["report"]), fragment, found["again"])
