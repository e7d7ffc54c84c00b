"""The rows of whole tables, one after another."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from serve.commands.tables.errors import JobError
from serve.commands.tables.find import CSV, JSON_LINES, PARQUET
from serve.commands.tables.lines import (
    BYTE_ORDER_MARK,
    CountedLines,
    blocks,
    csv_header,
    csv_row,
    json_row,
    next_csv_row,
    split_lines,
)
from serve.commands.tables.place import Place

# Lines of JSON whose columns are taken for those of the whole file.
LOOKED_AT = 1000
# Rows of Parquet that are held at once.
BATCH_ROWS = 4096

# The values of a row by column, or why it cannot be read.
Record = dict[str, Any] | str


@dataclass(frozen=True)
class Table:
    """A file. names: its columns. records: yields the rows, with the given columns at least."""

    path: str
    names: tuple[str, ...]
    records: Callable[[Sequence[str]], Iterator[Record]]


def open_table(place: Place, form: str, path: str) -> Table:
    """Find the columns of a file; its rows are read later.

    Raises:
        JobError: it has no columns, or is damaged; also from `records`. OSError.
    """
    if form not in READERS:
        raise JobError(f"{path} holds plain lines; a table with columns is needed")
    names, records = READERS[form]
    return Table(path, names(place, path), lambda columns: records(place, path, columns))


def _parquet_names(place: Place, path: str) -> tuple[str, ...]:
    with place.files.open_input_file(path) as file:
        try:
            return tuple(pq.ParquetFile(file).schema_arrow.names)
        except pa.ArrowException as exc:
            raise JobError(f"{path} is not Parquet, or damaged: {exc}") from exc


def _parquet(place: Place, path: str, columns: Sequence[str]) -> Iterator[Record]:
    with place.files.open_input_file(path) as file:
        try:
            for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS, columns=list(columns)):
                yield from batch.to_pylist()
        except (pa.ArrowException, UnicodeError) as exc:
            raise JobError(f"{path} cannot be read: {exc}") from exc


def _csv_names(place: Place, path: str) -> tuple[str, ...]:
    with place.files.open_input_stream(path) as stream:
        return csv_header(path, csv.reader(CountedLines(stream)))


def _csv(place: Place, path: str, _: Sequence[str]) -> Iterator[Record]:
    with place.files.open_input_stream(path) as stream:
        reader = csv.reader(CountedLines(stream))
        header = csv_header(path, reader)
        while (cells := next_csv_row(path, reader)) is not None:
            yield csv_row(header, cells)


def _json_names(place: Place, path: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for record in islice(_json(place, path, ()), LOOKED_AT):
        if not isinstance(record, str):
            found |= dict.fromkeys(record)
    return tuple(found)


def _json(place: Place, path: str, _: Sequence[str]) -> Iterator[Record]:
    with place.files.open_input_stream(path) as stream:
        for number, line in enumerate(split_lines(blocks(stream))):
            yield json_row(line.removeprefix(BYTE_ORDER_MARK) if number == 0 else line)


# By form: what finds the columns of a file, and what yields its rows.
READERS: dict[
    str,
    tuple[
        Callable[[Place, str], tuple[str, ...]],
        Callable[[Place, str, Sequence[str]], Iterator[Record]],
    ],
] = {
    PARQUET: (_parquet_names, _parquet),
    CSV: (_csv_names, _csv),
    JSON_LINES: (_json_names, _json),
}
