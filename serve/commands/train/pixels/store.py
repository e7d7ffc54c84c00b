"""Pixels in a file on disk, whole or not at all, under a name that says what they are of."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from inference.types import Failure
from model.config import POLICY_VERSIONS
from model.encoder import UInt8Array
from model.files import whole_folder
from model.images.preprocess import ImagePreprocessing
from serve.commands.tables.errors import JobError
from serve.commands.train.data.rows import Row, name_of, version_of

PIXELS, ROWS = "pixels.npy", "rows.json"
GB = 10**9
# Characters of the digest in the name of a folder.
NAME_CHARS = 16
# What an image's fetch and decoding came to: uint8 [S, S, 3], or why there are none.
Outcome = UInt8Array | Failure
# Told of each row that is done: its index, and why it failed.
Told = Callable[[int, Failure | None], object]


@dataclass(frozen=True)
class Stored:
    """Pixels of the good rows.

    pixels: uint8 [N, S, S, 3], mapped from the file. kept: the index of each good row, ascending.
    failed: code and message by the index of a bad row. sha256: of all pixels, image by image.
    """

    pixels: UInt8Array
    kept: list[int]
    failed: dict[int, tuple[str, str]]
    sha256: str


def digest_of(rows: Sequence[Row], way: ImagePreprocessing) -> str:
    """Return what the pixels depend on, as a hex digest. Of a URL only its name is known."""
    policy = POLICY_VERSIONS[way.policy]
    digest = hashlib.sha256(repr((policy, way)).encode())
    for row in rows:
        digest.update(f"{name_of(row.image)}\n{version_of(row.image)}\n".encode())
    return digest.hexdigest()


def place_of(folder: Path, digest: str) -> Path:
    """Return the folder of some pixels."""
    return folder / f"pixels-{digest[:NAME_CHARS]}"


def size_bytes(rows: int, way: ImagePreprocessing) -> int:
    """Return the bytes of the pixels of so many rows."""
    return rows * way.size**2 * 3


def find_stored(place: Path) -> Stored | None:
    """Return pixels that are there already; None if they are not, or not readable."""
    try:
        found = json.loads((place / ROWS).read_text())
        pixels = np.load(place / PIXELS, mmap_mode="c")  # writable for torch; the file stays
        failed = {int(row): (code, message) for row, (code, message) in found["failed"].items()}
        stored = Stored(pixels, found["kept"], failed, found["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stored if len(stored.kept) == len(pixels) else None


def check_room(folder: Path, needed_bytes: int) -> None:
    """Raise JobError if a folder's disk has less room than is needed."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(there).free
    if free < needed_bytes:
        raise JobError(
            f"the pixels take {needed_bytes / GB:.1f} GB, but {folder} has {free / GB:.1f} GB "
            "free; name another folder by --work"
        )


def store(
    place: Path, rows: int, size: int, outcomes: Iterable[tuple[int, Outcome]], told: Told
) -> Stored:
    """Write pixels as they come, in any order, and move them together at the end.

    place: a new folder. rows: how many outcomes come, under indexes from 0. size: S.

    Raises:
        JobError: the disk is full or cannot be written. Nothing is left then, nor after an error
            of `outcomes` or `told`.
    """
    try:
        with whole_folder(place) as folder:
            with (folder / PIXELS).open("x+b") as file:
                filled = _Filled(file, rows, size)
                for index, outcome in outcomes:
                    filled.add(index, outcome)
                    told(index, outcome if isinstance(outcome, Failure) else None)
                written = filled.finish()
            (folder / ROWS).write_text(json.dumps(written))
    except OSError as exc:
        raise JobError(
            f"the pixels cannot be written to {place.parent}: {exc.strerror or exc}"
        ) from exc
    stored = find_stored(place)
    if stored is None:
        raise JobError(f"{place} cannot be read back")
    return stored


class _Filled:
    """A file of .npy: a header of fixed length, then a place for each row."""

    def __init__(self, file: BinaryIO, rows: int, size: int) -> None:
        self._file, self._shape = file, (size, size, 3)
        self._row_bytes = size * size * 3
        self._write_header(rows)
        self._first = file.tell()
        self._reserve(self._first + rows * self._row_bytes)
        self._digests: dict[int, bytes] = {}
        self._failed: dict[int, Failure] = {}

    def add(self, index: int, outcome: Outcome) -> None:
        """Write a row at its place. Raises OSError."""
        if isinstance(outcome, Failure):
            self._failed[index] = outcome
            return
        data = np.ascontiguousarray(outcome).tobytes()
        self._digests[index] = hashlib.sha256(data).digest()
        self._write(data, index)

    def finish(self) -> dict[str, Any]:
        """Move the good rows together. Returns what is known of them, for ROWS. Raises OSError."""
        kept = sorted(self._digests)
        for new, old in enumerate(kept):
            if new != old:
                at = self._first + old * self._row_bytes
                self._write(os.pread(self._file.fileno(), self._row_bytes, at), new)
        self._file.truncate(self._first + len(kept) * self._row_bytes)
        self._file.seek(0)
        self._write_header(len(kept))
        self._file.flush()
        os.fsync(self._file.fileno())
        whole = hashlib.sha256(b"".join(self._digests[row] for row in kept))
        failed = {row: (one.code, one.message) for row, one in sorted(self._failed.items())}
        return {"kept": kept, "failed": failed, "sha256": whole.hexdigest()}

    def _write(self, data: bytes, index: int) -> None:
        at = self._first + index * self._row_bytes
        while data:
            written = os.pwrite(self._file.fileno(), data, at)
            data, at = data[written:], at + written

    def _write_header(self, rows: int) -> None:
        """Write the header; numpy pads it, so that any number of rows takes the same length."""
        header = {"descr": "|u1", "fortran_order": False, "shape": (rows, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._file.flush()

    def _reserve(self, length: int) -> None:
        """Take the disk's room now: a mapped file that meets a full disk ends the process."""
        try:
            os.posix_fallocate(self._file.fileno(), 0, length)
        except OSError as exc:
            if exc.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # file systems that cannot
                raise
