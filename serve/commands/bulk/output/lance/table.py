"""The table: a data set of Lance at the place where LanceDB finds a table `embeddings`.

Lance reads and writes files itself, in S3 with the settings of the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import lance
import pyarrow as pa
from lance.file import LanceFileReader
from lance.fragment import FragmentMetadata, write_fragments
from pyarrow import fs

from serve.commands.tables.errors import JobError
from serve.commands.tables.place import Place

TABLE = "embeddings.lance"
# Where in Lance's code an error arose, which it adds to the message.
_ORIGIN = re.compile(r",? (location: )?/\S+\.rs:\d+(:\d+)?")


@dataclass(frozen=True)
class Table:
    """The table of an output. Can be pickled, before it is there, too."""

    output: Place

    def check_reachable(self) -> None:
        """Check that Lance finds what pyarrow finds.

        Raises:
            JobError: the output is neither on a disk nor in S3, or its URL has a key.
        """
        if self.output.is_local:
            return
        in_s3 = isinstance(self.output.files, fs.S3FileSystem)
        if not in_s3 or Place.of(self._uri.removesuffix(f"/{TABLE}")) != self.output:
            raise JobError(
                "--format lance writes to a disk, or to S3 with the keys of the environment"
            )

    @property
    def _uri(self) -> str:
        return ("" if self.output.is_local else "s3://") + self.output.path(TABLE)

    @property
    def _options(self) -> dict[str, str] | None:
        if self.output.is_local:
            return None
        region = self.output.files.region  # of the bucket; empty if AWS_ENDPOINT_URL is set
        # AWS_ENDPOINT_URL may be of http, as with Parquet.
        return {"allow_http": "true"} | ({"region": region} if region else {})

    def create(self, schema: pa.Schema) -> None:
        """Make the table, without rows, if it is not there.

        Raises:
            JobError: Lance cannot hold these columns, or cannot write there.
        """
        if self._is_there():
            return
        rows, options = schema.empty_table(), self._options
        try:
            with _as_os_errors():
                lance.write_dataset(rows, self._uri, mode="create", storage_options=options)
        except OSError as exc:
            raise JobError(f"--format lance cannot make the table: {exc}") from exc

    def version(self) -> int:
        """Return the number of the newest version. Raises OSError: it is not there."""
        return int(self._open().version)

    def write(self, rows: pa.Table) -> FragmentMetadata:
        """Write a file of rows, which readers see after its commit. Raises OSError."""
        with _as_os_errors():
            (fragment,) = write_fragments(rows, self._uri, storage_options=self._options)
        if self.output.is_local:
            with open(self._path(fragment), "rb") as file:  # noqa: PTH123 - a URI elsewhere
                os.fsync(file.fileno())  # Lance does not
        return fragment

    def read(self, fragment: FragmentMetadata, columns: Sequence[str]) -> pa.Table:
        """Read columns of a file, committed or not. Raises OSError."""
        with _as_os_errors():
            file = LanceFileReader(self._path(fragment), self._options, list(columns))
            return file.read_all().to_table()

    def fragment_ids(self) -> dict[str, int]:
        """Return the committed fragments by the path of their first file. Raises OSError."""
        with _as_os_errors():
            found = self._open().get_fragments()
            return {one.metadata.files[0].path: one.fragment_id for one in found}

    def commit(
        self, added: list[FragmentMetadata], removed: list[int], properties: Mapping[str, str]
    ) -> int:
        """Add and remove fragments at once. Returns the new version. Raises OSError."""
        operation = (
            lance.LanceOperation.Update(
                removed_fragment_ids=removed, updated_fragments=[], new_fragments=added,
                fields_modified=[],
            )
            if removed
            else lance.LanceOperation.Append(added)
        )  # fmt: skip
        with _as_os_errors():
            before = self._open()
            transaction = lance.Transaction(
                before.version, operation, transaction_properties=dict(properties)
            )
            return int(lance.LanceDataset.commit(before, transaction).version)

    def properties(self, version: int) -> Mapping[str, str]:
        """Return what `commit` was given for a version. Raises OSError: the version is gone."""
        with _as_os_errors():
            transaction = self._open().read_transaction(version)
        return transaction.transaction_properties or {} if transaction else {}

    def count(self, version: int) -> int:
        """Return the number of rows of a version. Raises OSError."""
        with _as_os_errors():
            return int(self._at(version).count_rows())

    def rows(self, version: int, first: int, count: int, columns: Sequence[str]) -> pa.Table:
        """Read rows of a version, which always has the same order. Raises OSError."""
        with _as_os_errors():
            table = self._at(version)
            return table.to_table(columns=list(columns), offset=first, limit=count)

    def _path(self, fragment: FragmentMetadata) -> str:
        return f"{self._uri}/data/{fragment.files[0].path}"

    def _is_there(self) -> bool:
        try:
            self._open()
        except OSError:
            return False
        return True

    def _open(self) -> lance.LanceDataset:
        with _as_os_errors():
            return lance.dataset(self._uri, storage_options=self._options)

    def _at(self, version: int) -> lance.LanceDataset:
        return _opened(self._uri, version, tuple((self._options or {}).items()))


@lru_cache(4)
def _opened(uri: str, version: int, options: tuple[tuple[str, str], ...]) -> lance.LanceDataset:
    return lance.dataset(uri, version, storage_options=dict(options))


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Raise OSError for the errors of Lance, without places in its code."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as exc:  # pa.ArrowInvalid is a ValueError
        raise OSError(_ORIGIN.sub("", str(exc))) from exc
