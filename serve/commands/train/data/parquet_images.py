"""Images inside Parquet: a column of bytes, or Hugging Face's struct of `bytes` and `path`.

While rows are read, images are not: a row says where its image is, and `Cells` reads it later.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from inference.types import ImageBytes, ImageFile, ImageUrl
from serve.commands.tables.errors import JobError
from serve.commands.tables.place import Place
from serve.commands.train.data.rows import Cell, images_of

BYTES, PATH = "bytes", "path"
# Images that are held at once.
BATCH_IMAGES = 32


def holds_images(place: Place, path: str, column: str) -> bool:
    """Whether a column of a Parquet file holds bytes of images. Raises JobError, OSError."""
    with place.files.open_input_file(path) as file:
        try:
            kind = pq.ParquetFile(file).schema_arrow.field(column).type
        except pa.ArrowException as exc:
            raise JobError(f"{path} is not Parquet, or damaged: {exc}") from exc
    if pa.types.is_struct(kind):
        found = kind.get_field_index(BYTES)
        return found >= 0 and _is_binary(kind.field(found).type)
    return _is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


class Cells:
    """Reads the images of Parquet files from begin to end, one file at a time; use it in `with`."""

    def __init__(self) -> None:
        self._file: Any = None
        self._of: tuple[str, str] = ("", "")
        self._rows: Iterator[tuple[int, Any]] = iter(())
        self._row = 0

    def __enter__(self) -> Self:
        """Return it. Files are opened when they are first needed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what is open."""
        self._close()

    def read(self, cell: Cell, most: int) -> ImageBytes | ImageFile | ImageUrl:
        """Return an image: its bytes, at most so many, or what its `path` names if it has none.

        Raises:
            BadRow: it has neither.
            JobError: the file is damaged, or another one by now. OSError.
        """
        try:
            if self._of != (cell.path, cell.column) or cell.row <= self._row:
                self._open(cell)
            for row, value in self._rows:
                self._row = row
                if row == cell.row:
                    return _image(cell, value, most)
        except pa.ArrowException as exc:
            raise JobError(f"{cell.path} cannot be read: {exc}") from exc
        raise JobError(f"{cell.path} has no row {cell.row:,} any more")

    def _open(self, cell: Cell) -> None:
        self._close()
        self._file = cell.place.files.open_input_file(cell.path)
        self._of, self._row = (cell.path, cell.column), 0
        # Else it reads whole groups of rows ahead, with all of their images.
        table = pq.ParquetFile(self._file, pre_buffer=False, buffer_size=2**20)
        batches = table.iter_batches(BATCH_IMAGES, columns=[cell.column])
        values = (value for batch in batches for value in batch.column(0))
        self._rows = enumerate((value.as_py() for value in values), 1)

    def _close(self) -> None:
        self._rows = iter(())
        if self._file is not None:
            self._file.close()


def _image(cell: Cell, value: Any, most: int) -> ImageBytes | ImageFile | ImageUrl:
    data = value.get(BYTES) if isinstance(value, dict) else value
    if data is not None:
        return ImageBytes(data[:most])
    path = value.get(PATH) if isinstance(value, dict) else None
    return images_of(cell.place, cell.path)(path)
