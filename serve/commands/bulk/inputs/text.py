"""Files of lines: where their rows begin and end, and which columns they have."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

import pyarrow as pa

from serve.commands.bulk.inputs.json_schema import JsonColumns
from serve.commands.bulk.inputs.schema import Columns, Layout, layout_of_csv, layout_of_json
from serve.commands.tables.errors import JobError
from serve.commands.tables.find import CSV, JSON_LINES
from serve.commands.tables.lines import (
    BLOCK_BYTES,
    BYTE_ORDER_MARK,
    MAX_LINE_BYTES,
    CountedLines,
    csv_header,
    next_csv_row,
    readable,
    split_lines,
)
from serve.commands.tables.place import Found, Place

# path, number of the first row in its file, rows, first byte, end.
Piece = tuple[str, int, int, int, int]


class Most(NamedTuple):
    """What a part may hold. input_bytes: of its rows in the input; one row may have more.

    Four parts are in memory at once, and for a moment some rows in several forms.
    """

    rows: int
    input_bytes: int = 64 * 2**20


def scanned(
    place: Place, form: str, found: Iterable[Found], columns: Columns, most: Most
) -> tuple[Layout, list[Piece]]:
    """Read all files once. Raises JobError: a file cannot be divided, or lacks a column."""
    pieces: list[Piece] = []
    seen = JsonColumns()
    header: tuple[str, ...] | None = None
    path = ""
    for path, _, _ in found:
        with place.files.open_input_stream(path, buffer_size=BLOCK_BYTES) as stream:
            if form == CSV:
                own, ends = _csv_ends(path, stream)
                if header is not None and own != header:
                    raise JobError(f"{path} has other columns than the files before it")
                header = own
            else:
                ends = _line_ends(path, stream, seen if form == JSON_LINES else None)
            pieces += _pieces(path, ends, most)
    if form == CSV:
        return layout_of_csv(path, header or (), columns), pieces
    if form == JSON_LINES:
        return layout_of_json(path, seen.schema(), columns), pieces
    if columns.text or columns.id or columns.url != "url":
        raise JobError(f"{path} holds plain lines, each a URL; it has no columns to name")
    return Layout(pa.string(), pa.schema([])), pieces


def _pieces(path: str, ends: Iterator[int], most: Most) -> Iterator[Piece]:
    """Group rows. ends: the byte at which the first row begins, then where each row ends."""
    start = before = next(ends)
    first = rows = 0
    for end in ends:
        if rows == most.rows or (rows and end - start > most.input_bytes):
            yield path, first, rows, start, before
            first, rows, start = first + rows, 0, before
        rows, before = rows + 1, end
    if rows:
        yield path, first, rows, start, before


def _line_ends(path: str, stream: BinaryIO, seen: JsonColumns | None) -> Iterator[int]:
    """Yield where rows end, one a line. seen: takes note of the columns of JSON Lines."""
    place, held = 0, b""
    first = True
    while block := stream.read(BLOCK_BYTES):
        if first:
            mark = len(BYTE_ORDER_MARK) if block.startswith(BYTE_ORDER_MARK) else 0
            yield mark
            place, block, first = mark, block[mark:], False
        whole, line_end, rest = block.rpartition(b"\n")
        if not line_end:
            held += block
            if len(held) > MAX_LINE_BYTES:
                raise JobError(f"{path} has a line of more than {MAX_LINE_BYTES:,} bytes")
            continue
        lines, held = held + whole + line_end, rest
        if seen is not None:
            seen.note(lines)
        begin = 0
        while begin < len(lines):
            begin = lines.index(b"\n", begin) + 1
            yield place + begin
        place += len(lines)
    if first:
        yield 0
    if held:
        if seen is not None:
            seen.note(held)
        yield place + len(held)


def _csv_ends(path: str, stream: BinaryIO) -> tuple[tuple[str, ...], Iterator[int]]:
    """Return the header, and where rows end. A row may have line breaks in quotes."""
    counted = CountedLines(stream)
    reader = csv.reader(counted)
    header = csv_header(path, reader)

    def ends() -> Iterator[int]:
        yield counted.taken
        while next_csv_row(path, reader) is not None:
            yield counted.taken

    return header, ends()


def rows_of_csv(data: bytes) -> Sequence[Sequence[str]]:
    """Return the cells of the rows of a part."""
    return list(csv.reader(map(readable, split_lines(iter([data])))))
