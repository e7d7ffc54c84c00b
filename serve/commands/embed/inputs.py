"""The inputs of `embed`: arguments, the files of folders, the lines of standard input."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from inference.types import ImageFile, ImageUrl, Item, Text
from serve.wire.client_side import is_url

# A data URL of 20 MiB has 28 million characters, and three times as many where each is escaped.
MAX_LINE_BYTES = 100 * 2**20


class Source(NamedTuple):
    """An input as it was named: a file, a URL or a text."""

    kind: Literal["image", "text"]
    name: str


class EndedEarly(Exception):
    """The rows ended before all inputs were done. The message is shown to the user."""


class InputBroken(EndedEarly):
    """Standard input or a folder cannot be read to its end."""


def sources(inputs: Sequence[str], texts: Sequence[str]) -> Iterator[Source]:
    """Yield the inputs, then the texts.

    `-` is replaced by the lines of standard input, and each folder by the files in it.

    Raises:
        InputBroken: standard input or a folder cannot be read to its end, or it has no files.
    """
    for name in inputs:
        for one in _lines() if name == "-" else [name]:
            yield from (Source("image", path) for path in (_files(one) if _folder(one) else [one]))
    for text in texts:
        yield Source("text", text)


def total(inputs: Sequence[str], texts: Sequence[str]) -> int | None:
    """Return the number of sources, or None if standard input or a folder decides it."""
    known = not any(name == "-" or _folder(name) for name in inputs)
    return len(inputs) + len(texts) if known else None


def item_of(source: Source) -> Item:
    """Return the item of a source. The engine opens a file only when it reads it."""
    if source.kind == "text":
        return Text(source.name)
    if is_url(source.name):
        return ImageUrl(source.name)
    return ImageFile(source.name)


def _folder(name: str) -> bool:
    return not is_url(name) and os.path.isdir(name)  # noqa: PTH112 - a Path would tidy the name


def _files(folder: str) -> Iterator[str]:
    """Yield the files in a folder and its folders, by name, without hidden ones."""
    found = False
    for root, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = _visible(folders)
        for name in _visible(files):
            path = Path(root, name)
            if path.is_file():  # not a pipe, nor a link that leads nowhere
                found = True
                yield str(path)
    if not found:
        raise InputBroken(f"no files in the folder {folder}")


def _visible(names: list[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith("."))


def _raise(exc: OSError) -> None:
    raise InputBroken(f"cannot list {exc.filename}: {exc.strerror}") from exc


def _lines() -> Iterator[str]:
    """Yield lines as they arrive, without blank ones.

    Not through `sys.stdin`: a thread that waits in it holds its lock, which the interpreter
    needs at its exit.
    """
    try:
        with open(0, "rb", closefd=False) as stdin:
            while line := stdin.readline(MAX_LINE_BYTES):
                if len(line) == MAX_LINE_BYTES:
                    raise InputBroken(f"a line of {MAX_LINE_BYTES:,} bytes in standard input")
                if name := os.fsdecode(line).strip():
                    yield name
    except OSError as exc:
        raise InputBroken(f"cannot read standard input: {exc.strerror}") from exc
