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

    A link stays a link, the mode of a file stays its mode. What is no plain file (a terminal, a
    pipe, /dev/null) is written to straight away.

    Raises:
        OSError: at the start where the folder or the file cannot be written, later as `write` does.
    """
    given = Path(path)
    if str(given).startswith(OPEN_FILES) or (given.exists() and not given.is_file()):
        with given.open("wb") as file:
            yield file
        return
    target = given.resolve()
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(given))
    unfinished = target.with_name(UNFINISHED + secrets.token_hex(8))
    try:
        with unfinished.open("xb") as file:
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
        if target.exists():
            target.rename(old)
        new.rename(target)


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
