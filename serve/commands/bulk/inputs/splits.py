"""Parts of input files. Each becomes one part of the output, by its number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from serve.commands.bulk.inputs.schema import Columns, Layout, layout_of_parquet
from serve.commands.bulk.inputs.text import Most, scanned
from serve.commands.tables.errors import JobError
from serve.commands.tables.find import PARQUET
from serve.commands.tables.place import Found, Place


class Split(NamedTuple):
    """Some rows of a file.

    part: number of the part, from 0. first: number of the first row in its file, from 0. start,
    end: bytes of a text file; 0 of Parquet.
    """

    part: int
    path: str
    first: int
    rows: int
    start: int
    end: int


class Planned(NamedTuple):
    """All parts of an input, and the columns of its files."""

    splits: list[Split]
    layout: Layout


def divide(
    place: Place, form: str, found: Iterable[Found], columns: Columns, most: Most
) -> Planned:
    """Divide files into parts, in order. Of Parquet only footers are read, else every byte.

    Raises:
        JobError: a file cannot be read, or lacks a column. OSError.
    """
    if form == PARQUET:
        layouts, pieces = _parquet(place, found, columns, most)
    else:
        layouts, pieces = scanned(place, form, found, columns, most)
    splits = [Split(part, *piece) for part, piece in enumerate(pieces)]
    if not splits:
        raise JobError("the input has no rows")
    return Planned(splits, layouts)


def _parquet(
    place: Place, found: Iterable[Found], columns: Columns, most: Most
) -> tuple[Layout, list[tuple[str, int, int, int, int]]]:
    layout: Layout | None = None
    pieces = []
    for one in found:
        try:
            with place.files.open_input_file(one.path) as file:
                parquet = pq.ParquetFile(file)
                metadata, schema = parquet.metadata, parquet.schema_arrow
        except pa.ArrowException as exc:
            raise JobError(f"{one.path} is not Parquet, or damaged: {exc}") from exc
        own = layout_of_parquet(one.path, schema, columns)
        layout = layout or own
        if own != layout:
            raise JobError(f"{one.path} has other columns than the files before it")
        steps = _steps(metadata.num_rows, _rows_at_once(metadata, most))
        pieces += [(one.path, first, count, 0, 0) for first, count in steps]
    if layout is None:
        raise JobError("the input has no files")
    return layout, pieces


def _rows_at_once(metadata: pq.FileMetaData, most: Most) -> int:
    """Return how many rows of any row group a part may hold, by the mean size of its rows."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    row_bytes = max((one.total_byte_size / max(one.num_rows, 1) for one in groups), default=0)
    return max(1, min(most.rows, int(most.input_bytes / max(row_bytes, 1))))


def _steps(rows: int, at_most: int) -> Iterator[tuple[int, int]]:
    """Yield first row and count of each piece."""
    for first in range(0, rows, at_most):
        yield first, min(at_most, rows - first)
