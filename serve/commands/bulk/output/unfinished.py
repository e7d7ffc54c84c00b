"""What is saved of parts that are not whole yet, in the same way for all formats.

_open/part-00000012/1f09.arrow    some rows of a part
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence

import pyarrow as pa

from serve.commands.bulk.output.outcomes import Outcomes
from serve.commands.tables.place import Place

_ROW, _HOW = "row", "how"


def save(
    place: Place, part: int, outcomes: Outcomes, indexes: Sequence[int], dtype: pa.DataType
) -> None:
    """Save rows of a part. Raises OSError."""
    columns = outcomes.columns(indexes, dtype)
    how = [one.how if (one := outcomes.found[index]) else None for index in indexes]
    table = pa.table(
        columns | {_ROW: pa.array(indexes, pa.int32()), _HOW: pa.array(how, pa.string())}
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    name = f"{time.time_ns():020d}-{secrets.token_hex(4)}.arrow"  # later ones count
    place.write(f"{_folder(part)}/{name}", sink.getvalue())


def saved(place: Place, part: int) -> Iterator[pa.Table]:
    """Read what was saved of a part. Raises OSError."""
    for name in place.names(_folder(part)):
        if name.endswith(".arrow"):
            data = place.read(f"{_folder(part)}/{name}")
            yield pa.ipc.open_file(pa.BufferReader(data)).read_all()


def restore(outcomes: Outcomes, table: pa.Table) -> None:
    """Take rows that were saved."""
    outcomes.restore(table[_ROW].to_pylist(), table, table[_HOW].to_pylist())


def forget(place: Place, part: int) -> None:
    """Delete what was saved of a part. Raises OSError."""
    place.delete(_folder(part))


def _folder(part: int) -> str:
    return f"_open/part-{part:08d}"
