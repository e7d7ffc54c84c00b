"""The zip files that torch writes, checked before they are read."""

from __future__ import annotations

import zipfile
from pathlib import Path

from model.errors import CheckpointError

MAGIC = b"PK\x03\x04"
PROGRAM = "/code/"


def is_zip(path: Path) -> bool:
    """Whether a file begins as a zip file does, whole or not."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def entries(path: Path) -> list[zipfile.ZipInfo]:
    """List the entries of a zip file without those of a program, which are never read.

    Raises:
        CheckpointError: it is damaged, or its entries would need more memory than it has bytes:
            of what is read, torch compresses nothing.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = [one for one in archive.infolist() if PROGRAM not in one.filename]
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as exc:
        raise CheckpointError(f"{path} is damaged or half-written: {exc}") from exc
    stored = all(one.compress_type == zipfile.ZIP_STORED for one in found)
    if not stored or sum(one.file_size for one in found) > path.stat().st_size:
        raise CheckpointError(f"{path} is no file of torch: its entries are compressed")
    return found


def is_torchscript(path: Path) -> bool:
    """Whether a file is an archive of TorchScript: a program with its weights."""
    return is_zip(path) and any(
        one.filename.count("/") == 1 and one.filename.endswith("/constants.pkl")
        for one in entries(path)
    )
