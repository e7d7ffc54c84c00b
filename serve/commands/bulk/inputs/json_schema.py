"""The columns of JSON Lines: their names and types, as all rows have them."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
from pyarrow import json as arrow_json

_PARSED_BYTES = 100 * 2**20 + 16 * 2**20
# How a value of any type is kept when the rows disagree: as its JSON.
ANY = pa.string()


class JsonColumns:
    """Collects the types of the columns, block by block."""

    def __init__(self) -> None:
        self._types: dict[str, pa.DataType] = {}

    def note(self, lines: bytes) -> None:
        """Take note of whole lines. Lines that are no JSON objects are left out."""
        if lines.strip():
            for field in _schema(lines):
                before = self._types.get(field.name)
                self._types[field.name] = (
                    field.type if before is None else _both(before, field.type)
                )

    def schema(self) -> pa.Schema:
        """Return the columns so far, in the order in which they were met."""
        nulls = {name: ANY for name, kind in self._types.items() if pa.types.is_null(kind)}
        return pa.schema(list((self._types | nulls).items()))


def _schema(lines: bytes) -> pa.Schema:
    try:
        options = arrow_json.ReadOptions(block_size=_PARSED_BYTES)
        found = arrow_json.read_json(pa.BufferReader(lines), read_options=options).schema
    except pa.ArrowInvalid:  # one of them is no JSON object, or has another type than the others
        return _schema_by_rows(lines)
    return pa.schema([(field.name, _kept(field.type)) for field in found])


def _schema_by_rows(lines: bytes) -> pa.Schema:
    """Return the columns of the rows that are JSON objects, of whatever types."""
    values: dict[str, list[Any]] = {}
    for line in lines.split(b"\n"):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        for name, value in row.items() if isinstance(row, dict) else ():
            values.setdefault(name, []).append(value)
    return pa.schema([(name, _type_of(found)) for name, found in values.items()])


def _type_of(values: list[Any]) -> pa.DataType:
    """Return the type of values of one column; ANY if they have no common one."""
    try:
        return _kept(pa.array(values).type)
    except (pa.ArrowException, OverflowError, TypeError):
        return ANY


def _kept(kind: pa.DataType) -> pa.DataType:
    """Return the type that keeps the text: the library takes texts of dates for instants."""
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_kept(kind.value_type))
    if pa.types.is_struct(kind) and not kind.num_fields:
        return ANY  # Parquet has no struct without fields
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _kept(field.type)) for field in kind])
    return kind


def _both(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type for values of either type."""
    try:
        fields = [pa.schema([("value", kind)]) for kind in (one, other)]
        return pa.unify_schemas(fields, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return ANY
