"""An output in Lance: a fragment of the table for each part, and a note of it.

    embeddings.lance                the table
    _parts/part-00000012.json       a whole part: its counts and its fragment
    _table.json, _commit.json       which parts are committed

Any process writes fragments, and readers do not see them yet. The process that runs the job
commits them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

import pyarrow as pa

from serve.commands.bulk.output.lance.committed import Committed
from serve.commands.bulk.output.lance.note import Note
from serve.commands.bulk.output.lance.publishing import Publishing
from serve.commands.bulk.output.lance.table import Table
from serve.commands.bulk.output.part_files import PartReport
from serve.commands.tables.place import Place

NOTES = "_parts"
_NAME = re.compile(r"part-(\d{8,})\.json")
ROWS_PER_PIECE = 16_384


@dataclass(frozen=True)
class LanceFiles:
    """Parts as fragments of a table."""

    place: Place

    def begin(self, schema: pa.Schema) -> None:
        """Make the table, so that it can be opened from now on. Raises JobError."""
        self._table.check_reachable()
        self._table.create(schema)

    def whole(self) -> set[int]:
        """Return the numbers of the parts with a note. Raises OSError."""
        matches = map(_NAME.fullmatch, self.place.names(NOTES))
        return {int(match[1]) for match in matches if match}

    def is_whole(self, part: int) -> bool:
        """Whether a part has a note. Raises OSError."""
        return self.place.exists(_name(part))

    def write(self, table: pa.Table, report: PartReport, *, again: bool) -> None:
        """Write a fragment and, after it, its note. Raises OSError."""
        note = Note(report, self._table.write(table), again)
        self.place.write(_name(report.part), note.to_json())

    def report(self, part: int) -> PartReport:
        """Read the counts in a note. Raises OSError."""
        return self._note(part).report

    def take(self, part: int, columns: Sequence[str]) -> pa.Table:
        """Read columns of a fragment, also before it is committed. Raises OSError."""
        return self._table.read(self._note(part).fragment, columns)

    @contextmanager
    def shown(self, replaced: Iterable[int]) -> Iterator[Callable[[int], object]]:
        """Commit the whole parts: those there are now, others from time to time and at the end."""
        committed = Committed(self.place, self._table)
        publishing = Publishing(committed, self._note)
        publishing.publish(self.whole())
        committed.fragment_ids(replaced)  # raises now, before these are embedded
        try:
            yield publishing.tell
        except Exception:  # also a signal's; only a second signal ends the process at once
            publishing.publish_rest(self.whole())
            raise
        publishing.publish_rest(self.whole())

    def pieces(self) -> TableRows:
        """Return the rows of the table as it is now. Raises OSError."""
        return TableRows(self._table, self._table.version())

    @property
    def _table(self) -> Table:
        return Table(self.place)

    def _note(self, part: int) -> Note:
        return Note.of_json(self.place.read(_name(part)))


@dataclass(frozen=True)
class TableRows:
    """A version of a table in pieces, whoever wrote or compacted its fragments."""

    table: Table
    version: int

    def numbers(self) -> Iterable[int]:
        """Return the number of each piece. Raises OSError."""
        return range(ceil(self.table.count(self.version) / ROWS_PER_PIECE))

    def take(self, number: int, columns: Sequence[str]) -> pa.Table:
        """Read columns of a piece. Raises OSError."""
        first = number * ROWS_PER_PIECE
        return self.table.rows(self.version, first, ROWS_PER_PIECE, columns)


def _name(part: int) -> str:
    return f"{NOTES}/part-{part:08d}.json"
