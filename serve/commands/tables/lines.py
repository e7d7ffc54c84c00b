"""The lines of a file, and the rows that lines hold."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import orjson

from inference.types import is_unicode
from serve.commands.tables.errors import JobError

BLOCK_BYTES = 16 * 2**20
# A data URL of 20 MiB has 28 million characters.
MAX_LINE_BYTES = 100 * 2**20
csv.field_size_limit(MAX_LINE_BYTES)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class CountedLines:
    """The lines of a stream as text. taken: bytes of the lines so far.

    Lines of the csv module: it asks for one more only inside quotes.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._lines = split_lines(blocks(stream))
        self.taken = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        text = line.removeprefix(BYTE_ORDER_MARK) if self.taken == 0 else line
        self.taken += len(line)
        return readable(text)


def blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Yield a stream in blocks."""
    return iter(lambda: stream.read(BLOCK_BYTES), b"")


def split_lines(found: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines of some blocks, each with its line break."""
    held = b""
    for block in found:
        lines = (held + block).split(b"\n")
        held = lines.pop()
        if len(held) > MAX_LINE_BYTES:
            raise JobError(f"a line has more than {MAX_LINE_BYTES:,} bytes")
        for line in lines:
            yield line + b"\n"
    if held:
        yield held


def csv_header(path: str, reader: Iterator[list[str]]) -> tuple[str, ...]:
    """Return the first row of a CSV. Raises JobError: it is no header."""
    header = next_csv_row(path, reader)
    if not header or not all(map(is_unicode, header)):
        raise JobError(f"{path} has no header in UTF-8: a first line with the names of its columns")
    return tuple(header)


def next_csv_row(path: str, reader: Iterator[list[str]]) -> list[str] | None:
    """Return the next row of a CSV; None at its end. Raises JobError: it is no CSV."""
    try:
        return next(reader, None)
    except csv.Error as exc:
        raise JobError(f"{path} is no CSV: {exc}; is a quote never closed?") from exc


def readable(data: bytes) -> str:
    """Decode UTF-8; a byte that is none becomes half of a surrogate pair, which marks it."""
    return data.decode(errors="surrogateescape")


def csv_row(header: Sequence[str], cells: Sequence[str]) -> dict[str, Any] | str:
    """Return the values of a row by column, or why it cannot be read."""
    if len(cells) != len(header):
        return f"the row has {len(cells)} cells, not {len(header)}"
    if not all(map(is_unicode, cells)):
        return "the row is not valid UTF-8"
    return dict(zip(header, cells, strict=True))


def json_row(line: bytes) -> dict[str, Any] | str:
    """Return the values of a line by column, or why it cannot be read."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return "the line is not JSON"
    return found if isinstance(found, dict) else "the line is no JSON object"
