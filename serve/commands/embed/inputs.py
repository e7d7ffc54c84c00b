"""The inputs of `embed`: arguments and the lines of standard input, one by one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
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
    """Standard input cannot be read to its end."""


def sources(inputs: Sequence[str], texts: Sequence[str]) -> Iterator[Source]:
    """Yield the inputs, with `-` replaced by the lines of standard input, then the texts.

    Raises:
        InputBroken: standard input cannot be read to its end.
    """
    for name in inputs:
        yield from (Source("image", one) for one in (_lines() if name == "-" else [name]))
    for text in texts:
        yield Source("text", text)


def total(inputs: Sequence[str], texts: Sequence[str]) -> int | None:
    """Return the number of sources, or None if it depends on standard input."""
    return None if "-" in inputs else len(inputs) + len(texts)


def item_of(source: Source) -> Item:
    """Return the item of a source. The engine opens a file only when it reads it."""
    if source.kind == "text":
        return Text(source.name)
    if is_url(source.name):
        return ImageUrl(source.name)
    return ImageFile(source.name)


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
