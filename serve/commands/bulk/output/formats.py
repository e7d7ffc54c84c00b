"""The formats of an output, by the names of `--format`."""

from __future__ import annotations

from model.errors import install
from serve.commands.bulk.output.parquet_files import ParquetFiles
from serve.commands.bulk.output.part_files import PartFiles
from serve.commands.tables.errors import JobError
from serve.commands.tables.place import Place

FORMATS = PARQUET, LANCE = "parquet", "lance"


def files_of(name: str, place: Place) -> PartFiles:
    """Return the parts of an output in a format. Raises JobError: its library is missing."""
    if name == PARQUET:
        return ParquetFiles(place)
    try:
        from serve.commands.bulk.output.lance.files import LanceFiles  # imports a heavy library
    except ModuleNotFoundError as exc:
        raise JobError(f"Lance needs {exc.name}: {install('lance')}") from exc
    return LanceFiles(place)
