"""An output of Parquet: a file for each part, with the part's counts in its footer.

part-00000012.parquet    a whole part; it appears under this name when it is whole
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from serve.commands.bulk.output.part_files import PartReport
from serve.commands.tables.place import Place

KEY = b"sweetspot"
_NAME = re.compile(r"part-(\d{8,})\.parquet")


@dataclass(frozen=True)
class ParquetFiles:
    """Parts as files of Parquet, which are also the pieces that another job reads."""

    place: Place

    def begin(self, schema: pa.Schema) -> None:
        """Do nothing: Parquet holds all types of the inputs."""

    def whole(self) -> set[int]:
        """Return the numbers of the files. Raises OSError."""
        matches = map(_NAME.fullmatch, self.place.names())
        return {int(match[1]) for match in matches if match}

    def is_whole(self, part: int) -> bool:
        """Whether a file is there. Raises OSError."""
        return self.place.exists(_name(part))

    def write(self, table: pa.Table, report: PartReport, *, again: bool) -> None:  # noqa: ARG002
        """Write the file of a part, in place of one that is there. Raises OSError."""
        counted = table.replace_schema_metadata({KEY: json.dumps(asdict(report))})
        sink = pa.BufferOutputStream()
        pq.write_table(counted, sink, compression="zstd", compression_level=1)
        self.place.write(_name(report.part), sink.getvalue())

    def report(self, part: int) -> PartReport:
        """Read a footer. Raises OSError."""
        with self.place.files.open_input_file(self.place.path(_name(part))) as file:
            return PartReport(**json.loads(pq.read_schema(file).metadata[KEY]))

    def take(self, part: int, columns: Sequence[str]) -> pa.Table:
        """Read columns of a file. Raises OSError."""
        with self.place.files.open_input_file(self.place.path(_name(part))) as file:
            return pq.read_table(file, columns=list(columns))

    def shown(
        self,
        replaced: Iterable[int],  # noqa: ARG002 - Lance needs it
    ) -> AbstractContextManager[Callable[[int], object]]:
        """Do nothing: readers see files as they appear, and any can be replaced."""
        return nullcontext(lambda _: None)

    def pieces(self) -> ParquetFiles:
        """Return the files themselves."""
        return self

    def numbers(self) -> Iterable[int]:
        """Return the numbers of the files, in order. Raises OSError."""
        return sorted(self.whole())


def _name(part: int) -> str:
    return f"part-{part:08d}.parquet"
