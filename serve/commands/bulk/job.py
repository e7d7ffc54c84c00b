"""What a job is: input, model and form of the output. Kept in the output, so that it can go on.

_job.json       what must be the same when the job goes on
_plan.parquet   the parts of the input
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonpath

import pyarrow as pa
import pyarrow.parquet as pq

from model.encoder import EncoderSpec
from serve.commands.bulk.inputs.rows import Reader
from serve.commands.bulk.inputs.schema import Columns, Layout
from serve.commands.bulk.inputs.splits import Split, divide
from serve.commands.bulk.inputs.text import Most
from serve.commands.bulk.lock import LOCK
from serve.commands.bulk.output.formats import PARQUET
from serve.commands.bulk.output.parts import Parts
from serve.commands.tables.errors import JobError
from serve.commands.tables.find import Source
from serve.commands.tables.place import Place

JOB, PLAN = "_job.json", "_plan.parquet"
VERSION = 1
DTYPES = {"float32": pa.float32(), "float16": pa.float16()}
# What a user may have changed since the job began, in words.
WORDS = {
    "fingerprint": "the model, its precision or --preprocess",
    "input": "the input",
    "columns": "the columns",
    "format": "--format",
    "dtype": "--dtype",
    "rows_per_part": "--rows-per-part",
    "version": "the version of this command",
}


@dataclass(frozen=True)
class Asked:
    """What the user wants. rows_per_part: of the output. previous: an earlier output."""

    inputs: Sequence[str]
    output: str
    columns: Columns
    dtype: str = "float32"
    rows_per_part: int = 16_384
    per_host: int | None = None
    retry_failed: bool = False
    previous: str | None = None
    format: str = PARQUET


@dataclass(frozen=True)
class Model:
    """The encoder of a job. fingerprint: only embeddings with equal ones are comparable."""

    name: str
    dimension: int
    fingerprint: str


def model_of(spec: EncoderSpec) -> Model:
    """Return what a job keeps of its encoder."""
    return Model(spec.name, spec.dimension, spec.fingerprint)


@dataclass(frozen=True)
class Job:
    """A job that may start or go on."""

    reader: Reader
    parts: Parts
    splits: list[Split]

    @property
    def rows(self) -> int:
        """Rows of the input."""
        return sum(split.rows for split in self.splits)


def check_output(asked: Asked) -> Place:
    """Return the output, if a job is in it or may begin there.

    Raises:
        JobError: it holds something else. OSError.
    """
    output = Place.of(asked.output)
    if not output.exists(JOB) and not output.is_empty(but=[PLAN, LOCK]):
        raise JobError(f"{asked.output} is not empty, and holds no job; name a new folder")
    return output


def open_job(asked: Asked, source: Source, output: Place, model: Model) -> Job:
    """Begin a job, or go on with the one in the output. source: the files of its input.

    Raises:
        JobError: the input cannot be read, or the job in the output is another one. OSError.
    """
    place, form, found = source
    identity = _identity(asked, model, source)
    if output.exists(JOB):
        kept = {"format": PARQUET} | json.loads(output.read(JOB))
        _check_same(asked.output, kept, identity)
        layout, splits = _layout_of(kept["layout"]), _read_plan(output)
    else:
        splits, layout = divide(place, form, found, asked.columns, Most(asked.rows_per_part))
        _write_plan(output, splits)
        output.write(
            JOB, _as_json(identity | {"model": model.name, "layout": _layout_as_json(layout)})
        )
    reader = Reader(
        place,
        commonpath([one.path.rpartition("/")[0] for one in found]),
        form,
        asked.columns,
        layout,
    )
    dtype = DTYPES[asked.dtype]
    parts = Parts(output, model.dimension, dtype, model.fingerprint, asked.format)
    parts.begin(reader.no_rows())
    return Job(reader, parts, splits)


def _identity(asked: Asked, model: Model, source: Source) -> dict[str, object]:
    listed = json.dumps([source.form, *source.found]).encode()
    return {
        "version": VERSION,
        "fingerprint": model.fingerprint,
        "columns": vars(asked.columns),
        "format": asked.format,
        "dtype": asked.dtype,
        "rows_per_part": asked.rows_per_part,
        "input": {
            "files": len(source.found),
            "bytes": sum(one.size for one in source.found),
            "digest": hashlib.sha256(listed).hexdigest(),
        },
    }


def _check_same(output: str, kept: dict[str, object], identity: dict[str, object]) -> None:
    """Raise JobError if the job in the output is another one."""
    changed = [WORDS[key] for key, value in identity.items() if kept.get(key) != value]
    if changed:
        raise JobError(
            f"the job in {output} began with other settings: {', '.join(changed)} changed; "
            "start it as before, or name a new folder"
        )


def _write_plan(output: Place, splits: Sequence[Split]) -> None:
    table = pa.Table.from_pylist([split._asdict() for split in splits])
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    output.write(PLAN, sink.getvalue())


def _read_plan(output: Place) -> list[Split]:
    table = pq.read_table(pa.BufferReader(output.read(PLAN)))
    return [Split(**row) for row in table.to_pylist()]


def _layout_as_json(layout: Layout) -> dict[str, object]:
    with_id = pa.schema([pa.field("id", layout.id), *layout.others])
    return {"schema": with_id.serialize().to_pybytes().hex(), "header": layout.header}


def _layout_of(kept: dict[str, object]) -> Layout:
    with_id = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(str(kept["schema"]))))
    header = kept["header"]
    names = tuple(map(str, header)) if isinstance(header, list) else ()
    return Layout(with_id.field(0).type, pa.schema(list(with_id)[1:]), names)


def _as_json(value: object) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"
