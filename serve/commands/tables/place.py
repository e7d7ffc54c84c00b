"""A folder on a disk or in S3, whose files are listed, read, and written whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from pyarrow import fs

from model.files import UNFINISHED, whole_file
from serve.commands.tables.errors import JobError

# The signs of a pattern.
MAGIC = re.compile(r"[*?\[]")


class Found(NamedTuple):
    """A file. path: within its file system. version: changes when the file does."""

    path: str
    size: int
    version: str


@dataclass(frozen=True)
class Place:
    """A folder, or one file. Can be pickled. root: its path within the file system."""

    files: fs.FileSystem
    root: str

    @classmethod
    def of(cls, given: str) -> Place:
        """Find the file system of a path or an `s3://` URL.

        Raises:
            JobError: it is a URL of another kind, or S3 cannot be asked.
        """
        if "://" not in given:
            return cls(fs.LocalFileSystem(), str(Path(given).absolute()))
        # The signs of a pattern are none of a URL.
        magic = MAGIC.search(given)
        plain = given[: magic.start()].rpartition("/")[0] if magic else given
        try:
            files, root = fs.FileSystem.from_uri(plain)
            return cls(files, root + given.removeprefix(plain))
        except (ValueError, OSError) as exc:
            raise JobError(f"{given} cannot be opened: {exc}") from exc

    @property
    def is_local(self) -> bool:
        """Whether the folder is on a disk of this machine."""
        return isinstance(self.files, fs.LocalFileSystem)

    def path(self, name: str) -> str:
        """Return the path of a file in the folder."""
        return f"{self.root}/{name}"

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name. Raises OSError."""
        return bool(self.files.get_file_info(self.path(name)).is_file)

    def names(self, folder: str = "") -> list[str]:
        """List the files right in the folder, or in one below it, in order. Raises OSError."""
        selector = fs.FileSelector(self.path(folder) if folder else self.root, allow_not_found=True)
        found = self.files.get_file_info(selector)
        return sorted(one.base_name for one in found if one.type == fs.FileType.File)

    def is_empty(self, but: Collection[str] = ()) -> bool:
        """Whether the folder holds nothing, or is not there. Raises OSError.

        but: names that do not count, as those of unfinished files.
        """
        found = self.files.get_file_info(fs.FileSelector(self.root, allow_not_found=True))
        names = {one.base_name for one in found} - set(but)
        return all(name.startswith(UNFINISHED) for name in names)

    def holds(self, other: Place, path: str) -> bool:
        """Whether a path of another place is this folder, or in it."""
        return self.files == other.files and f"{path}/".startswith(f"{self.root}/")

    def read(self, name: str) -> bytes:
        """Read a file. Raises OSError."""
        with self.files.open_input_stream(self.path(name)) as file:
            return bytes(file.read())

    def write(self, name: str, data: bytes | pa.Buffer) -> None:
        """Write a file, whole or not at all. Raises OSError."""
        path = self.path(name)
        if self.is_local:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as local:
                local.write(data)
            return
        with self.files.open_output_stream(path) as remote:  # appears when it is closed
            remote.write(data)

    def delete(self, folder: str) -> None:
        """Delete a folder in this one, if it is there. Raises OSError."""
        if self.files.get_file_info(self.path(folder)).type == fs.FileType.Directory:
            self.files.delete_dir(self.path(folder))
