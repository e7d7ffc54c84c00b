"""The parts of an output: tables with a row for each row of the input, whole or not at all.

A part is whole or it is not there, so that readers of the output see whole parts, and a job that
goes on again needs nothing else to know what is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from inference.errors import FetchBlocked
from serve.commands.bulk.inputs.rows import Rows
from serve.commands.bulk.output import unfinished
from serve.commands.bulk.output.formats import PARQUET, files_of
from serve.commands.bulk.output.outcomes import FIELD_NAMES, Outcomes
from serve.commands.bulk.output.part_files import PartFiles, PartReport
from serve.commands.tables.place import Place


@dataclass(frozen=True)
class Parts:
    """The parts of an output. Can be pickled. dtype: of the numbers of an embedding."""

    place: Place
    dimension: int
    dtype: pa.DataType
    fingerprint: str
    format: str = PARQUET

    @property
    def files(self) -> PartFiles:
        """The whole parts, in their format."""
        return files_of(self.format, self.place)

    def begin(self, no_rows: Rows) -> None:
        """Prepare the output for parts with the columns of `no_rows`. Raises JobError, OSError."""
        self.files.begin(self._table(no_rows, Outcomes(0, self.dimension)).schema)

    def write(
        self, part: int, rows: Rows, outcomes: Outcomes, cpu_s: float, *, again: bool = False
    ) -> PartReport:
        """Write a whole part, and delete what was saved of it before. Raises OSError.

        again: some of its failures were tried again.
        """
        report = PartReport(
            part, len(rows), dict(outcomes.counts()), outcomes.retryable(), cpu_s,
            outcomes.examples(),
        )  # fmt: skip
        self.files.write(self._table(rows, outcomes), report, again=again)
        unfinished.forget(self.place, part)
        return report

    def save(self, part: int, outcomes: Outcomes, indexes: Sequence[int]) -> None:
        """Save rows of a part that is not whole yet. Raises OSError."""
        unfinished.save(self.place, part, outcomes, indexes, self.dtype)

    def restore(self, part: int, outcomes: Outcomes, *, lasting: bool) -> None:
        """Take the rows that were saved of a part. lasting: but failures that are tried again.

        Raises:
            OSError: they cannot be read.
        """
        for table in unfinished.saved(self.place, part):
            kept = table.filter(pc.invert(_tried_again(table))) if lasting else table
            unfinished.restore(outcomes, kept)

    def restore_lasting(self, part: int, outcomes: Outcomes) -> None:
        """Take all rows of a whole part but the failures that are tried again. Raises OSError."""
        table = self.files.take(part, ["embedding", *FIELD_NAMES])
        again = _tried_again(table).to_pylist()
        rows = [index for index, one in enumerate(again) if not one]
        # How a row was made is not kept; it was not made in vain.
        how = ["encoded" if code is None else None for code in table["error_code"].to_pylist()]
        outcomes.restore(rows, table.take(pa.array(rows, pa.int64())), [how[row] for row in rows])

    def _table(self, rows: Rows, outcomes: Outcomes) -> pa.Table:
        count = len(rows)
        columns: dict[str, pa.Array | pa.ChunkedArray] = {"id": rows.ids}
        columns["url"] = pa.array(rows.urls, pa.string())
        if rows.texts is not None:
            columns["text"] = pa.array(rows.texts, pa.string())
        columns |= {name: rows.others[name] for name in rows.others.column_names}
        columns |= outcomes.columns(range(count), self.dtype)
        columns["fingerprint"] = pa.repeat(pa.scalar(self.fingerprint), count)
        return pa.table(columns)


def _tried_again(table: pa.Table) -> pa.ChunkedArray:
    """Tell failures that may pass, and URLs that were blocked: the policy may have changed."""
    blocked = pc.equal(table["error_code"], FetchBlocked.code)
    return pc.fill_null(pc.or_kleene(table["retryable"], blocked), False)
