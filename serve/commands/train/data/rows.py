"""A row: one image and its captions."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.config import EngineConfig
from inference.types import ImageFile, ImageUrl, is_unicode
from serve.commands.tables.place import Place
from serve.wire.client_side import is_url

# The most captions of an image that are kept.
MAX_CAPTIONS = 100


class BadRow(Exception):
    """A row cannot be used.

    code: `row_invalid`, `image_missing`, `text_missing`, `text_invalid` or `group_missing`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Member:
    """An image in a tar: its bytes begin at `offset`. version: changes when the tar does."""

    place: Place
    path: str
    version: str
    offset: int
    size: int


@dataclass(frozen=True)
class Cell:
    """An image in a row of a Parquet file, from 1. version: changes when the file does."""

    place: Place
    path: str
    version: str
    column: str
    row: int


Image = ImageUrl | ImageFile | Member | Cell


@dataclass(frozen=True)
class Row:
    """An image and its captions, one or more. group: None without a column of groups.

    where: the file and the row, for messages.
    """

    image: Image
    captions: tuple[str, ...]
    group: str | None
    where: str


def name_of(image: Image) -> str:
    """Return what tells an image from others."""
    match image:
        case ImageUrl(url):
            return url
        case ImageFile(path):
            return path
        case Member():
            return f"{image.path}#{image.offset}"
        case Cell():
            return f"{image.path}#{image.column}/{image.row}"


def version_of(image: Image) -> str:
    """Return what changes when an image's file does; nothing is known of a URL's."""
    match image:
        case Member() | Cell():
            return image.version
        case ImageFile(path):
            try:
                found = os.stat(path)  # noqa: PTH116 - a million of them
            except (OSError, ValueError):
                return ""
            return f"{found.st_size} {found.st_mtime_ns}"
        case ImageUrl():
            return ""


def images_of(place: Place, path: str) -> Callable[[Any], ImageFile | ImageUrl]:
    """Return what finds the image that a table's value names. path: of the table.

    A relative path is relative to the folder of the table.
    """
    folder = path.rpartition("/")[0]

    def image(value: Any) -> ImageFile | ImageUrl:
        if value is None or value == "":
            raise BadRow("image_missing", "the row has no image")
        if not isinstance(value, str) or not is_unicode(value):
            raise BadRow("row_invalid", "its image is no text: neither a URL nor a path")
        if is_url(value) or "://" in value:
            return ImageUrl(value.strip())
        if place.is_local:
            return ImageFile(str(Path(folder, value)))
        if place.files.type_name != "s3" or value.startswith("/"):
            raise BadRow("row_invalid", f"its path {value} is none beside {path}")
        return ImageUrl(f"s3://{folder}/{value}")

    return image


def captions_of(value: Any) -> tuple[str, ...]:
    """Return the texts of a value: a string, or a list of strings. Raises BadRow."""
    if value is None or value == []:
        raise BadRow("text_missing", "the row has no text")
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in texts):
        raise BadRow("row_invalid", "its text is neither a string nor a list of strings")
    found = tuple(dict.fromkeys(text for one in texts if (text := one.strip())))[:MAX_CAPTIONS]
    if not found:
        raise BadRow("text_invalid", "the text is empty")
    most = EngineConfig.max_text_chars
    if any(len(one) > most for one in found):
        raise BadRow("text_invalid", f"the text has more than {most:,} characters")
    if not all(map(is_unicode, found)):
        raise BadRow("text_invalid", "the text is not valid Unicode")
    return found


def group_of(value: Any) -> str:
    """Return a group's name. Raises BadRow."""
    if value is None or value == "":
        raise BadRow("group_missing", "the row has no group")
    if not isinstance(value, str | int | float):
        raise BadRow("row_invalid", "its group is no text or number")
    return str(value)
