"""The forms of the rows: JSON Lines and npy as they come, tables at the end."""

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
    """Writes rows to a file. keeps: the first rows are of use without the others."""

    keeps: ClassVar[bool]

    def add(self, rows: Sequence[Row]) -> None:
        """Take in the next rows, all or none of them. Raises OSError."""

    def finish(self) -> None:
        """No more come. Raises OSError."""


class Jsonl:
    """One JSON object a line, with the input's name as its id."""

    keeps: ClassVar[bool] = True

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, rows: Sequence[Row]) -> None:
        """See Form. Whoever reads a pipe has the lines at once."""
        self._file.write(b"".join([_line(row) for row in rows]))
        self._file.flush()

    def finish(self) -> None:
        """See Form."""


class Npy:
    """float32 [N, D] as `numpy.save` writes it; a failed item's row is NaN.

    The number of rows stands at the beginning and is known at the end: the header, which has the
    same length for every number, is written twice. What cannot be rewound is spooled before.
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
    """For people. It alone holds all rows: a column is as wide as its widest cell."""

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


# Each is made of a file and the dimension of the embeddings.
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
