"""The columns of an input: those with a role, and the others, which go through untouched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from serve.commands.tables.errors import JobError

# The columns that a job adds. An input must not have others of these names.
ADDED = (
    "embedding", "error_code", "error_message", "retryable", "fingerprint", "width", "height",
    "content_sha256", "etag", "fetched_at",
)  # fmt: skip
URL, TEXT, ID = "url", "text", "id"


@dataclass(frozen=True)
class Columns:
    """The names of the columns with a role. url is `url` if neither url nor text is named."""

    url: str | None = None
    text: str | None = None
    id: str | None = None

    @classmethod
    def named(cls, url: str | None, text: str | None, identity: str | None) -> Columns:
        """Return the roles of named columns. Raises JobError: one has two roles."""
        given = [name for name in (url, text, identity) if name]
        if len(set(given)) < len(given):
            raise JobError("two of the named columns are the same")
        return cls(url if url or text else URL, text, identity)

    def roles(self) -> dict[str, str]:
        """Return the role, which is the name in the output, by the name in the input."""
        named = {self.url: URL, self.text: TEXT, self.id: ID}
        return {name: role for name, role in named.items() if name is not None}


@dataclass(frozen=True)
class Layout:
    """The columns of an input. id: the type of its ids. others: the columns without a role.

    header: of a CSV, all its columns in order.
    """

    id: pa.DataType
    others: pa.Schema
    header: tuple[str, ...] = ()


def layout_of_parquet(path: str, schema: pa.Schema, columns: Columns) -> Layout:
    """Return the layout of a Parquet file. Raises JobError: a column is missing or wrong."""
    _check_names(path, schema.names, columns)
    for name in (columns.url, columns.text):
        if name and not _is_text(schema.field(name).type):
            raise JobError(f"{path}: column {name} holds {schema.field(name).type}, not text")
    identity = schema.field(columns.id).type if columns.id else pa.string()
    others = [field for field in schema if field.name not in columns.roles()]
    return Layout(
        identity, pa.schema([field.with_nullable(True).remove_metadata() for field in others])
    )


def layout_of_csv(path: str, header: Sequence[str], columns: Columns) -> Layout:
    """Return the layout of a CSV: all text. Raises JobError: it lacks a column."""
    _check_names(path, header, columns)
    others = [name for name in header if name not in columns.roles()]
    return Layout(pa.string(), pa.schema([(name, pa.string()) for name in others]), tuple(header))


def layout_of_json(path: str, schema: pa.Schema, columns: Columns) -> Layout:
    """Return the layout of JSON Lines with the columns that were found in all of them."""
    _check_names(path, schema.names, columns)
    identity = schema.field(columns.id).type if columns.id else pa.string()
    if pa.types.is_null(identity):
        identity = pa.string()
    others = [field for field in schema if field.name not in columns.roles()]
    return Layout(identity, pa.schema(others))


def _check_names(path: str, names: Sequence[str], columns: Columns) -> None:
    missing = [name for name in columns.roles() if name not in names]
    if missing:
        raise JobError(f"{path} has no column {missing[0]}; it has {', '.join(names) or 'none'}")
    repeated = [name for name in names if list(names).count(name) > 1]
    if repeated:
        raise JobError(f"{path} has two columns {repeated[0]}")
    roles = columns.roles()
    taken = {*ADDED, URL, ID, *([TEXT] if columns.text else [])}
    for name in names:
        if name not in roles and name in taken:
            raise JobError(f"{path} has a column {name}, which the output has, too; rename it")


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
