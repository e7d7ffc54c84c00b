"""The rows of a part of the input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from inference.types import ImageUrl, Item, Text, Unreadable
from serve.commands.bulk.inputs.json_schema import ANY
from serve.commands.bulk.inputs.schema import Columns, Layout
from serve.commands.bulk.inputs.splits import Split
from serve.commands.bulk.inputs.text import rows_of_csv
from serve.commands.tables.errors import JobError
from serve.commands.tables.find import CSV, JSON_LINES, PARQUET
from serve.commands.tables.lines import csv_row, json_row
from serve.commands.tables.place import Place


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a part, each column with one value a row.

    texts: None if the input has no column of texts. broken: why a row cannot be read, by its index.
    """

    ids: pa.Array
    urls: Sequence[str | None]
    texts: Sequence[str | None] | None
    others: pa.Table
    broken: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.urls)

    def item(self, index: int) -> Item:
        """Return what is to be embedded of a row."""
        if index in self.broken:
            return Unreadable(self.broken[index])
        if url := self.urls[index]:
            return ImageUrl(url.strip())
        text = self.texts[index] if self.texts else None
        return Unreadable("the row has no URL") if text is None else Text(text)


@dataclass(frozen=True)
class Reader:
    """Reads parts. Can be pickled. base: the folder that holds all files, within their place."""

    place: Place
    base: str
    form: str
    columns: Columns
    layout: Layout

    def read(self, split: Split) -> Rows:
        """Read a part.

        Raises:
            JobError: the file is not as it was when the job began. OSError.
        """
        try:
            if self.form == PARQUET:
                rows = self._of_table(split, self._table(split))
            else:
                rows = self._of_dicts(split, self._dicts(split))
        except (pa.ArrowException, UnicodeError, KeyError) as exc:
            raise JobError(f"{split.path} cannot be read at row {split.first:,}: {exc}") from exc
        if len(rows) != split.rows:
            raise JobError(f"{split.path} has changed since the job began")
        return rows

    def no_rows(self) -> Rows:
        """Return no rows, with the columns of all parts."""
        others = self.layout.others.empty_table()
        return Rows(pa.array([], self.layout.id), [], [] if self.columns.text else None, others, {})

    def _table(self, split: Split) -> pa.Table:
        with self.place.files.open_input_file(split.path) as file:
            parquet = pq.ParquetFile(file)
            groups, skipped = _groups(parquet.metadata, split)
            batches = parquet.iter_batches(max(split.rows, 1), row_groups=groups)
            return pa.Table.from_batches(
                list(_cut(batches, skipped, split.rows)), parquet.schema_arrow
            )

    def _of_table(self, split: Split, table: pa.Table) -> Rows:
        broken: dict[int, str] = {}
        if self.columns.id:
            ids = table[self.columns.id].combine_chunks()
            ids = self._whole_ids(split, ids.to_pylist(), broken) if ids.null_count else ids
        else:
            ids = self._whole_ids(split, [None] * len(table), broken)
        others = table.select(self.layout.others.names).cast(self.layout.others)
        url, text = self.columns.url, self.columns.text
        urls = table[url].to_pylist() if url else [None] * len(table)
        return Rows(ids, urls, table[text].to_pylist() if text else None, others, broken)

    def _whole_ids(self, split: Split, ids: Sequence[Any], broken: dict[int, str]) -> pa.Array:
        """Give rows without an id a stable one: their file and the number of their row in it."""
        if self.layout.id not in (pa.string(), pa.large_string()):
            broken |= {index: "the row has no id" for index, one in enumerate(ids) if one is None}
            return pa.array(ids, self.layout.id)
        name = split.path.removeprefix(self.base).lstrip("/")
        made = (f"{name}#{split.first + index}" for index in range(len(ids)))
        whole = [new if one is None else one for one, new in zip(ids, made, strict=True)]
        return pa.array(whole, self.layout.id)

    def _dicts(self, split: Split) -> list[dict[str, Any] | str]:
        """Return the values of each row by column; of a row that cannot be read, why not."""
        with self.place.files.open_input_file(split.path) as file:
            file.seek(split.start)
            data = bytes(file.read(split.end - split.start))
        if self.form == CSV:
            return [csv_row(self.layout.header, cells) for cells in rows_of_csv(data)]
        lines = data.split(b"\n")
        if data.endswith(b"\n"):
            lines.pop()
        return [json_row(line) if self.form == JSON_LINES else _line(line) for line in lines]

    def _of_dicts(self, split: Split, found: Sequence[dict[str, Any] | str]) -> Rows:
        broken = {index: one for index, one in enumerate(found) if isinstance(one, str)}
        dicts: list[dict[str, Any]] = [{} if isinstance(one, str) else one for one in found]

        def texts(name: str) -> list[str | None]:
            values = [one.get(name) for one in dicts]
            for index, value in enumerate(values):
                if value is not None and not isinstance(value, str):
                    broken[index] = f"its {name} is no text"
                    values[index] = None
            return values

        urls = texts(self.columns.url) if self.columns.url else [None] * len(dicts)
        captions = texts(self.columns.text) if self.columns.text else None
        ids = (
            self._column(self.columns.id, self.layout.id, dicts, broken) if self.columns.id else []
        )
        whole = self._whole_ids(split, ids or [None] * len(dicts), broken)
        others = {
            field.name: pa.array(self._column(field.name, field.type, dicts, broken), field.type)
            for field in self.layout.others
        }
        table = pa.table(others, schema=self.layout.others) if others else _no_columns(len(dicts))
        return Rows(whole, urls, captions, table, broken)

    def _column(
        self, name: str, kind: pa.DataType, dicts: Sequence[dict[str, Any]], broken: dict[int, str]
    ) -> list[Any]:
        """Return a column's values; a row whose value does not fit its type is broken."""
        values = [one.get(name) for one in dicts]
        if kind == ANY:
            return [_as_text(value) for value in values]
        try:
            pa.array(values, kind)
        except (pa.ArrowException, OverflowError, TypeError):
            for index, value in enumerate(values):
                if pa.types.is_floating(kind) and isinstance(value, int):
                    values[index] = float(value)  # beside others that are no integers
                elif not _fits(value, kind):
                    broken[index], values[index] = f"its {name} is no {kind}", None
        return values


def _groups(metadata: pq.FileMetaData, split: Split) -> tuple[list[int], int]:
    """Return the row groups that hold a part, and the rows before it in the first of them."""
    groups: list[int] = []
    before = skipped = 0
    for group in range(metadata.num_row_groups):
        after = before + metadata.row_group(group).num_rows
        if before < split.first + split.rows and after > split.first:
            skipped = skipped if groups else split.first - before
            groups.append(group)
        before = after
    return groups, skipped


def _cut(batches: Iterator[pa.RecordBatch], skipped: int, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield `rows` rows after the first `skipped` ones."""
    for batch in batches:
        cut = batch.slice(skipped, rows)
        skipped = max(0, skipped - len(batch))
        rows -= len(cut)
        if len(cut):
            yield cut
        if not rows:
            return


def _line(line: bytes) -> dict[str, Any] | str:
    try:
        text = line.decode().strip()
    except UnicodeDecodeError:
        return "the line is not valid UTF-8"
    return {"url": text} if text else "the line is empty"


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _fits(value: Any, kind: pa.DataType) -> bool:
    try:
        pa.array([value], kind)
    except (pa.ArrowException, OverflowError, TypeError):
        return False
    return True


def _no_columns(rows: int) -> pa.Table:
    """Return a table without columns that has rows."""
    return pa.table({"": pa.nulls(rows)}).select([])
