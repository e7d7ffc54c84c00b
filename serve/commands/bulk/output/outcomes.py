"""What became of the rows of a part: their embeddings or errors, and what is known of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from model.encoder import Float32Array


class Outcome(NamedTuple):
    """A row without its embedding. how: `encoded`, `unchanged` or `same_bytes`; None if it failed.

    sha256: of the encoded image, hexadecimal. fetched_us: microseconds of Unix time.
    """

    code: str | None = None
    message: str | None = None
    retryable: bool | None = None
    width: int | None = None
    height: int | None = None
    sha256: str | None = None
    etag: str | None = None
    fetched_us: int | None = None
    how: str | None = None


# The computed columns but embedding and fingerprint, in the order of an Outcome's fields.
FIELDS: tuple[tuple[str, pa.DataType], ...] = (
    ("error_code", pa.string()),
    ("error_message", pa.string()),
    ("retryable", pa.bool_()),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("content_sha256", pa.string()),
    ("etag", pa.string()),
    ("fetched_at", pa.timestamp("us", "UTC")),
)
FIELD_NAMES = [name for name, _ in FIELDS]


@dataclass(eq=False)
class Outcomes:
    """The outcomes of `rows` rows. vectors: float32 [rows, D]; zeros where there is none."""

    rows: int
    dimension: int
    vectors: Float32Array = field(init=False)
    found: list[Outcome | None] = field(init=False)

    def __post_init__(self) -> None:
        self.vectors = np.zeros((self.rows, self.dimension), np.float32)
        self.found = [None] * self.rows

    def missing(self) -> list[int]:
        """Return the indexes of the rows without an outcome."""
        return [index for index, one in enumerate(self.found) if one is None]

    def counts(self) -> Counter[str]:
        """Count failures by code, and the other rows by how they were made."""
        return Counter(one.code or one.how or "" for one in self.found if one is not None)

    def examples(self) -> dict[str, str]:
        """Return the first message of each code."""
        failed = [one for one in self.found if one is not None and one.code is not None]
        return {one.code or "": one.message or "" for one in reversed(failed)}

    def retryable(self) -> int:
        """Count failures that may pass."""
        return sum(bool(one.retryable) for one in self.found if one is not None)

    def columns(self, indexes: Sequence[int], dtype: pa.DataType) -> dict[str, pa.Array]:
        """Return embedding and FIELDS of rows that have outcomes. dtype: of the numbers."""
        found = [one for index in indexes if (one := self.found[index]) is not None]
        failed = np.fromiter((one.code is not None for one in found), bool, len(found))
        numbers = self.vectors[list(indexes)].astype(dtype.to_pandas_dtype(), copy=False)
        columns = {"embedding": _lists(numbers, failed, dtype)}
        for place, (name, kind) in enumerate(FIELDS):
            columns[name] = pa.array([one[place] for one in found], kind)
        return columns

    def restore(self, rows: Iterable[int], table: pa.Table, how: Sequence[str | None]) -> None:
        """Take outcomes from a table of `columns`. rows: where each of its rows belongs."""
        fields = [table[name].to_pylist() for name in FIELD_NAMES[:-1]]
        fields.append(table["fetched_at"].cast(pa.int64()).to_pylist())
        vectors = vectors_of(table["embedding"], self.dimension)
        for source, (row, *values) in enumerate(zip(rows, *fields, how, strict=True)):
            self.found[row] = Outcome(*values)
            self.vectors[row] = vectors[source]


def embedding_type(dimension: int, dtype: pa.DataType) -> pa.DataType:
    """Return the type of an embedding: a list of D numbers."""
    return pa.list_(pa.field("item", dtype, nullable=False), dimension)


def vectors_of(column: pa.ChunkedArray, dimension: int) -> Float32Array:
    """Return the numbers of a column of embeddings as float32 [N, D]; of failed rows anything."""
    chunks = [_numbers(chunk, dimension) for chunk in column.chunks]
    return np.concatenate(chunks) if chunks else np.zeros((0, dimension), np.float32)


def _numbers(chunk: pa.FixedSizeListArray, dimension: int) -> Float32Array:
    # Not `flatten`, which leaves failed rows out.
    values = chunk.values.slice(chunk.offset * dimension, len(chunk) * dimension)
    numbers: Float32Array = values.to_numpy(zero_copy_only=False).astype(np.float32)
    return numbers.reshape(-1, dimension)


def _lists(numbers: np.ndarray, failed: np.ndarray, dtype: pa.DataType) -> pa.Array:
    values = pa.array(numbers.reshape(-1), dtype)
    mask = pa.array(failed, pa.bool_())
    kind = embedding_type(numbers.shape[1], dtype)
    return pa.FixedSizeListArray.from_arrays(values, type=kind, mask=mask)
