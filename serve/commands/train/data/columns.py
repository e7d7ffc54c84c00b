"""Which columns hold images, texts and groups."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from serve.commands.tables.errors import JobError

# Names that are looked for, in this order, where none is given. `file_name` is imagefolder's.
IMAGES = ("image", "url", "file_name")
TEXTS = ("text", "caption", "captions")


@dataclass(frozen=True)
class Columns:
    """Names as given; None of image and text: the first of IMAGES and of TEXTS that is there."""

    image: str | None = None
    text: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Found:
    """Names of columns that a file has."""

    image: str
    text: str
    group: str | None


def find_columns(path: str, names: Sequence[str], given: Columns) -> Found:
    """Return a file's columns. Raises JobError: it has no such column."""
    image = _one(path, names, given.image, IMAGES, "--image-column")
    text = _one(path, names, given.text, TEXTS, "--text-column")
    if given.group is not None and given.group not in names:
        raise _missing(path, names, given.group)
    if len({image, text, given.group}) < 3:
        raise JobError(f"{path}: image, text and group must be different columns")
    return Found(image, text, given.group)


def _one(
    path: str, names: Collection[str], given: str | None, looked_for: Sequence[str], option: str
) -> str:
    if given is not None:
        if given not in names:
            raise _missing(path, names, given)
        return given
    found = next((name for name in looked_for if name in names), None)
    if found is None:
        has = ", ".join(names) or "none"
        raise JobError(
            f"{path} has no column {' or '.join(looked_for)}; it has {has}; name one by {option}"
        )
    return found


def _missing(path: str, names: Collection[str], name: str) -> JobError:
    return JobError(f"{path} has no column {name}; it has {', '.join(names) or 'none'}")
