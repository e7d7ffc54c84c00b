"""Output formats: JSON Lines and npy are written as rows arrive, tables at the end."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import BinaryIO, ClassVar, Protocol

import numpy as np
import orjson

from inference.types import Embedding
from serve.commands.embed.flow import Row
from serve.commands.embed.tables import printable, show
from serve.wire.answers import render_result


class Form(Protocol):
    """Writes rows to a file. keeps: whether the first rows are useful without the rest."""

    keeps: ClassVar[bool]

    def add(self, rows: Sequence[Row]) -> None:
        """Add the next rows, all or none of them. Raises OSError."""

    def finish(self) -> None:
        """Finish the file after the last row. Raises OSError."""


class Jsonl:
    """One JSON object per line, with the input's name as its id."""

    keeps: ClassVar[bool] = True

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, rows: Sequence[Row]) -> None:
        """See Form. Flushes, so that the reader of a pipe gets the lines at once."""
        self._file.write(b"".join([_line(row) for row in rows]))
        self._file.flush()

    def finish(self) -> None:
        """See Form."""


class Npy:
    """float32 [N, D] as `numpy.save` writes it; a failed item's row is NaN.

    The header holds the number of rows, known only at the end, so it is written twice; its length
    is the same for every number. For output that cannot be rewound, the rows are spooled first.
    """

    keeps: ClassVar[bool] = False

    def __init__(self, file: BinaryIO, dimension: int) -> None:
        """dimension: of the embeddings."""
        self._file, self._dimension, self._count = file, dimension, 0
        rewinds = file is not sys.stdout.buffer and file.seekable()
        self._rows: BinaryIO = file if rewinds else _spool()
        self._write_header()

    def add(self, rows: Sequence[Row]) -> None:
        """See Form."""
        matrix = np.full((len(rows), self._dimension), np.nan, np.float32)
        for place, row in zip(matrix, rows, strict=True):
            if isinstance(row.result, Embedding):
                place[:] = row.result.vector
        self._rows.write(matrix.tobytes())
        self._count += len(rows)

    def finish(self) -> None:
        """See Form."""
        self._rows.seek(0)
        self._write_header()
        if self._rows is not self._file:
            self._rows.seek(0)
            shutil.copyfileobj(self._rows, self._file)
            self._rows.close()

    def _write_header(self) -> None:
        shape = (self._count, self._dimension)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._rows, header)


class Tables:
    """Tables for a terminal. Holds all rows, because a column is as wide as its widest cell."""

    keeps: ClassVar[bool] = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rows: list[Row] = []

    def add(self, rows: Sequence[Row]) -> None:
        """See Form."""
        self._rows += rows

    def finish(self) -> None:
        """See Form."""
        show(self._file, [(*row.source, row.result) for row in self._rows])


# Each is called with a file and the dimension of the embeddings.
FORMS: dict[str, Callable[[BinaryIO, int], Form]] = {
    "table": lambda file, _: Tables(file),
    "jsonl": lambda file, _: Jsonl(file),
    "npy": Npy,
}


def _line(row: Row) -> bytes:
    return orjson.dumps(
        render_result(row.index, printable(row.source.name), row.result, "float"),
        option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE,
    )


def _spool() -> BinaryIO:
    file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `finish`, or with its form
    return file
