"""Which parts the table has, so that each is committed once, whatever ended the runs before.

    _table.json     the file of each committed part, as of a version of the table
    _commit.json    the files that the newest commit adds; written before it

After a process is killed between a commit and the first of these, the second says what to look for.
LanceDB may compact the table meanwhile: a part whose file is gone since is still committed.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from serve.commands.bulk.output.lance.note import Note
from serve.commands.bulk.output.lance.table import TABLE, Table
from serve.commands.tables.errors import JobError
from serve.commands.tables.place import Place

STATE, INTENT = "_table.json", "_commit.json"
# What a version of the table has of the commit that made it.
PROPERTY = "sweetspot.commit"
ANEW = "begin anew in another folder, with this output as --previous"


class Committed:
    """The committed parts; `files` are their files within the table.

    Raises:
        JobError: it cannot be told what the table has. OSError.
    """

    def __init__(self, output: Place, table: Table) -> None:
        self._output, self._table = output, table
        self.files = self._recovered()

    def commit(self, added: Sequence[Note]) -> None:
        """Add parts to the table; they replace those of the same numbers.

        Raises:
            JobError: one cannot be replaced, or a file is gone. OSError.
        """
        files = {note.report.part: note.file for note in added}
        fragments = [note.fragment for note in added]
        if not all(self._output.exists(f"{TABLE}/data/{file}") for file in files.values()):
            raise JobError(f"{TABLE} has lost files of the job; {ANEW}")
        removed = self.fragment_ids(self.files.keys() & files.keys())
        name = secrets.token_hex(8)
        self._write(INTENT, {"name": name, "version": self._table.version(), "files": files})
        version = self._table.commit(fragments, removed, {PROPERTY: name})
        self.files |= files
        self._write(STATE, {"version": version, "files": self.files})

    def fragment_ids(self, parts: Iterable[int]) -> list[int]:
        """Return the fragments of committed parts.

        Raises:
            JobError: the table does not have them as they were written. OSError.
        """
        files = [self.files[part] for part in sorted(parts)]
        known = self._table.fragment_ids() if files else {}
        if not known.keys() >= set(files):
            raise JobError(
                f"{TABLE} was compacted or rewritten, so its rows cannot be replaced; {ANEW}"
            )
        return [known[file] for file in files]

    def _recovered(self) -> dict[int, str]:
        state, intent = self._read(STATE), self._read(INTENT)
        files = _by_part(state.get("files", {}))
        if state.get("version", 0) > self._table.version():
            # The machine went down before the last commits were on its disk.
            known = self._table.fragment_ids()
            files = {part: file for part, file in files.items() if file in known}
        new = _by_part(intent.get("files", {}))
        if not new.items() <= files.items() and self._has(intent, new.values()):
            files |= new
            self._write(STATE, {"version": self._table.version(), "files": files})
        return files

    def _has(self, intent: Mapping[str, Any], files: Iterable[str]) -> bool:
        """Whether the table has a commit that a process was killed at."""
        if not self._table.fragment_ids().keys().isdisjoint(files):
            return True
        try:
            since = range(intent["version"] + 1, self._table.version() + 1)
            return any(self._table.properties(one).get(PROPERTY) == intent["name"] for one in since)
        except OSError as exc:
            raise JobError(
                f"the job was killed during a commit, and versions of {TABLE} were removed since, "
                f"so that it cannot be told which rows it has; {ANEW}"
            ) from exc

    def _read(self, name: str) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        if self._output.exists(name):
            kept = json.loads(self._output.read(name))
        return kept

    def _write(self, name: str, kept: object) -> None:
        self._output.write(name, json.dumps(kept).encode())


def _by_part(kept: Mapping[str, str]) -> dict[int, str]:
    return {int(part): file for part, file in kept.items()}
