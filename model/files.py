"""Atomic writing of files and folders.

Each is written beside its target under another name and renamed when it is complete. Until then,
and after any failure, the old content stays. Pure Python, light to import.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

UNFINISHED = ".writing-"
# Names of files that are already open: no file can be renamed to them.
OPEN_FILES = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing. It replaces `path` when the block ends without an error.

    A link stays a link, and a file keeps its mode. The block can read back what it wrote. If `path`
    is not a plain file (a terminal, a pipe, /dev/null), it is written to directly.

    Raises:
        OSError: at the start if the folder or the file cannot be written, later as from `write`.
    """
    given = Path(path)
    if not _is_replaceable(given):
        with given.open("wb") as file:
            yield file
        return
    target = _target(given)
    unfinished = target.with_name(UNFINISHED + secrets.token_hex(8))
    try:
        with unfinished.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _take_place(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Replace a file by a text in UTF-8. Raises OSError as `whole_file` does."""
    with whole_file(path) as file:
        file.write(text.encode())


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Create a folder to fill. It replaces `target` when the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=UNFINISHED) as name:
        new, old = Path(name) / "new", Path(name) / "old"
        new.mkdir()
        yield new
        try:
            if target.exists():
                target.rename(old)
            new.rename(target)
        except BaseException:  # for example an interrupt between the two renames
            if old.exists() and not target.exists():
                old.rename(target)
            raise


@contextmanager
def whole_files(folder: Path) -> Iterator[Path]:
    """Create a folder to fill. Its files move into `folder` when the block ends without an error.

    Other files in `folder` stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED) as name:
        yield Path(name)
        for path in Path(name).iterdir():
            _take_place(path, folder / path.name)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Check, before long work, that `whole_file` could write the path. Leaves nothing behind.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    given = Path(path)
    if given.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(given))
    if _is_replaceable(given):
        _try(_target(given).parent)


def check_folder(folder: str | os.PathLike[str]) -> None:
    """Check that a folder can be written, or created in its nearest existing parent."""
    given = Path(folder)
    _try(next(one for one in (given, *given.parents) if one.exists()))


def _try(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder):
        pass


def _is_replaceable(given: Path) -> bool:
    return not str(given).startswith(OPEN_FILES) and (given.is_file() or not given.exists())


def _target(given: Path) -> Path:
    """Return the file behind all links. Raises PermissionError if it is not writable."""
    target = given.resolve()
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(given))
    return target


def _take_place(unfinished: Path, target: Path) -> None:
    if target.exists():
        shutil.copymode(target, unfinished)
    try:
        unfinished.replace(target)
    except OSError as exc:
        if exc.errno != errno.EBUSY:
            raise
        # A file that is mounted into a container cannot be replaced, only overwritten.
        shutil.copyfile(unfinished, target)
