"""What is to be embedded: arguments and the lines of standard input, one by one."""

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
    """No more rows come, although more was asked for. The message is for people."""


class InputBroken(EndedEarly):
    """Standard input cannot be read to its end."""


def sources(inputs: Sequence[str], texts: Sequence[str]) -> Iterator[Source]:
    """The inputs, `-` replaced by the lines of standard input, then the texts.

    Raises:
        InputBroken: in the midst of it.
    """
    for name in inputs:
        yield from (Source("image", one) for one in (_lines() if name == "-" else [name]))
    for text in texts:
        yield Source("text", text)


def total(inputs: Sequence[str], texts: Sequence[str]) -> int | None:
    """How many sources there will be; None when only standard input knows."""
    return None if "-" in inputs else len(inputs) + len(texts)


def item_of(source: Source) -> Item:
    """What the engine is given. A file is not opened before its turn has come."""
    if source.kind == "text":
        return Text(source.name)
    if is_url(source.name):
        return ImageUrl(source.name)
    return ImageFile(source.name)


def _lines() -> Iterator[str]:
    """Lines as they come, without blank ones.

    Not through `sys.stdin`: a thread that waits in it has its lock, which the end of the
    interpreter wants to have, too.
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
