"""All rows of an input, the captions of one image together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from serve.commands.tables.errors import JobError
from serve.commands.tables.find import PARQUET, Source, find
from serve.commands.tables.place import Found as FoundFile
from serve.commands.tables.place import Place
from serve.commands.tables.records import Record, open_table
from serve.commands.train.data.bad_rows import BadRows
from serve.commands.train.data.columns import Columns, find_columns
from serve.commands.train.data.parquet_images import holds_images
from serve.commands.train.data.rows import (
    MAX_CAPTIONS,
    BadRow,
    Cell,
    Image,
    Row,
    captions_of,
    group_of,
    images_of,
    name_of,
)
from serve.commands.train.data.webdataset import TAR, samples

# The most images of one input: some 5 GB of memory for their rows.
MAX_ROWS = 10_000_000
# What names the images of a folder for Hugging Face's imagefolder.
METADATA = "metadata.jsonl"


def read_rows(data: Sequence[str], output: str, given: Columns, bad: BadRows) -> list[Row]:
    """Read tables, folders with METADATA, and tars. Rows of one image become one row.

    output: a folder whose files are not read. bad: counts the rows that are left out.

    Raises:
        JobError: a file cannot be read, a column is missing, or there is no row. OSError.
    """
    source = find([_metadata(one) for one in data], output, {".tar": TAR})
    rows: dict[str, Row] = {}
    for one in _all(source, given):
        if not isinstance(one, Row):
            where, why = one
            bad.add(why.code, where, str(why))
            continue
        key = name_of(one.image)
        rows[key] = _both(rows[key], one) if key in rows else one
        if len(rows) > MAX_ROWS:
            raise JobError(f"{', '.join(data)} holds more than {MAX_ROWS:,} images")
    if not rows and not bad.counts:
        raise JobError(f"{', '.join(data)} holds no rows")
    return list(rows.values())


def _metadata(given: str) -> str:
    """Return the table that lists a folder's images, if there is one, else what was given."""
    if "://" not in given and not Path(given).is_dir():
        return given
    return f"{given.rstrip('/')}/{METADATA}" if Place.of(given).exists(METADATA) else given


def _all(source: Source, given: Columns) -> Iterator[Row | tuple[str, BadRow]]:
    for found in source.found:
        if source.form == TAR:
            yield from samples(source.place, found, given)
        else:
            yield from _of_table(source, found, given)


def _of_table(
    source: Source, found: FoundFile, given: Columns
) -> Iterator[Row | tuple[str, BadRow]]:
    place, path = source.place, found.path
    table = open_table(place, source.form, path)
    columns = find_columns(path, table.names, given)
    inside = source.form == PARQUET and holds_images(place, path, columns.image)
    image = images_of(place, path)

    def find_image(number: int, record: dict[str, Any]) -> Image:
        if inside:
            return Cell(place, path, found.version, columns.image, number)
        return image(record.get(columns.image))

    wanted = (None if inside else columns.image, columns.text, columns.group)
    records = table.records([name for name in wanted if name is not None])
    for number, record in enumerate(records, 1):
        where = f"{path} row {number:,}"
        try:
            values = _values(record)
            group = None if columns.group is None else group_of(values.get(columns.group))
            picture, captions = find_image(number, values), captions_of(values.get(columns.text))
            yield Row(picture, captions, group, where)
        except BadRow as exc:
            yield where, exc


def _values(record: Record) -> dict[str, Any]:
    if isinstance(record, str):
        raise BadRow("row_invalid", record)
    return record


def _both(one: Row, other: Row) -> Row:
    """Return a row with the captions of both; it stays in the group of the first."""
    captions = dict.fromkeys((*one.captions, *other.captions))
    return replace(one, captions=tuple(captions)[:MAX_CAPTIONS])
