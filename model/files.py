"""Files and folders that are written whole or not at all.

Each is written beside its target under another name, and renamed once it is whole: until then,
and after any failure, what was there before stays. Pure Python, light to import.
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
# Names of what is open already: nothing can be renamed to them.
OPEN_FILES = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file to be written, which takes the place of `path` when the block ends well.

    A link stays a link, the mode of a file stays its mode. What was written can be read again in
    the block. What is no plain file (a terminal, a pipe, /dev/null) is written to straight away.

    Raises:
        OSError: at the start where the folder or the file cannot be written, later as `write` does.
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
    """Write a text in UTF-8 in place of a file. Raises OSError as `whole_file` does."""
    with whole_file(path) as file:
        file.write(text.encode())


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Make a folder to be filled, which takes the place of `target` when the block ends well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=UNFINISHED) as name:
        new, old = Path(name) / "new", Path(name) / "old"
        new.mkdir()
        yield new
        try:
            if target.exists():
                target.rename(old)
            new.rename(target)
        except BaseException:  # interrupted between the two, say
            if old.exists() and not target.exists():
                old.rename(target)
            raise


@contextmanager
def whole_files(folder: Path) -> Iterator[Path]:
    """Make a folder to be filled with files, which move into `folder` when the block ends well.

    What else is in there stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED) as name:
        yield Path(name)
        for path in Path(name).iterdir():
            _take_place(path, folder / path.name)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Say before long work what `whole_file` would say after it. Nothing is left behind.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    given = Path(path)
    if given.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(given))
    if _is_replaceable(given):
        _try(_target(given).parent)


def check_folder(folder: str | os.PathLike[str]) -> None:
    """The same of a folder, which may be still to be made, with those above it."""
    given = Path(folder)
    _try(next(one for one in (given, *given.parents) if one.exists()))


def _try(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder):
        pass


def _is_replaceable(given: Path) -> bool:
    return not str(given).startswith(OPEN_FILES) and (given.is_file() or not given.exists())


def _target(given: Path) -> Path:
    """What is replaced, behind all links. Raises PermissionError where it is not to be written."""
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
        # A file that is mounted into a container cannot be replaced, only filled.
        shutil.copyfile(unfinished, target)
