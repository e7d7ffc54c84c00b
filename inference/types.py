"""Items and results: the engine's input, and its output at the same index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.errors import ItemError
from inference.stats import StageTimes
from model.errors import DecodeError

Tower = Literal["image", "text"]
TOWERS: tuple[Tower, ...] = ("image", "text")
Lane = Literal["interactive", "bulk"]
LANES: tuple[Lane, ...] = ("interactive", "bulk")


class Target(NamedTuple):
    """Where an item is encoded: one tower of one model, by the model's name."""

    model: str
    tower: Tower


MAX_MESSAGE_CHARS = 300
# A request of at most this many texts is interactive: a query and its variants.
INTERACTIVE_TEXTS = 8


@dataclass(frozen=True)
class ImageUrl:
    """An image to fetch: an http, https, s3 or data URL."""

    url: str


@dataclass(frozen=True)
class ImageBase64:
    """An encoded image as the base64 text of a request body, or as a data URL."""

    text: str


@dataclass(frozen=True)
class ImageBytes:
    """An encoded image."""

    data: bytes


@dataclass(frozen=True)
class ImageFile:
    """An image in a local file or pipe. Never made from the content of a network request."""

    path: str


@dataclass(frozen=True)
class Text:
    """A query or caption."""

    text: str


@dataclass(frozen=True)
class Unreadable:
    """A placeholder for an item that cannot be read. reason: a sentence for the caller."""

    reason: str


Item = ImageUrl | ImageBase64 | ImageBytes | ImageFile | Text | Unreadable


@dataclass(frozen=True)
class ImageDetails:
    """What is known of an image once all of its encoded bytes are here.

    sha256: of the encoded bytes, 32 bytes. fetched_s: Unix time at which the last of them came.
    etag: as the server sent it, with its quotes and `W/`; None if it sent none that can be sent
    back. width, height: px of the whole picture as a viewer shows it, with its EXIF orientation;
    None if it could not be decoded.
    """

    sha256: bytes
    fetched_s: float
    etag: str | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, eq=False)
class Embedding:
    """vector: float32 [D], unit norm. truncated: the text was cut to the context length.

    tokens: of a text, after the cut; 0 for an image. times_s: seconds that each stage spent on this
    item. details: of an image, if asked for.
    """

    vector: NDArray[np.float32]
    truncated: bool = False
    tokens: int = 0
    times_s: Mapping[str, float] = field(default_factory=dict)
    details: ImageDetails | None = None


@dataclass(frozen=True)
class Failure:
    """An item's error as a value: a code of the closed list, a short message for people.

    times_s: seconds that each stage spent on this item. retry_after_s: for how long the server
    asked not to be asked again, at most one hour. details: of an image, if asked for and if its
    bytes were fetched.
    """

    code: str
    message: str
    retryable: bool
    times_s: Mapping[str, float] = field(default_factory=dict, compare=False)
    retry_after_s: float | None = None
    details: ImageDetails | None = None

    @classmethod
    def of(cls, error: ItemError | DecodeError) -> Failure:
        """Return an item's error as a value."""
        retryable, retry_after_s = False, None
        if isinstance(error, ItemError):
            retryable, retry_after_s = error.retryable, error.retry_after_s
        # A URL's host may be of any length, and may have characters that JSON cannot hold.
        message = str(error).encode("ascii", "backslashreplace").decode()[:MAX_MESSAGE_CHARS]
        return cls(error.code, message, retryable, retry_after_s=retry_after_s)


@dataclass(frozen=True, eq=False)
class Embeddings:
    """One item's embeddings by model name. times_s, details: as of `Embedding`."""

    by_model: Mapping[str, Embedding]
    times_s: Mapping[str, float] = field(default_factory=dict)
    details: ImageDetails | None = None


Result = Embedding | Embeddings | Failure


def tower_of(item: Item) -> Tower:
    """Return the tower that embeds an item."""
    return "text" if isinstance(item, Text) else "image"


def lane_of(items: Sequence[Item]) -> Lane:
    """Return the default lane of a request: a few texts or one image are interactive."""
    texts = all(isinstance(item, Text) for item in items)
    return "interactive" if len(items) <= (INTERACTIVE_TEXTS if texts else 1) else "bulk"


def is_unicode(text: str) -> bool:
    """Return whether a text can be encoded: JSON allows half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True)
class Answer:
    """One result per item, in the order of the items, and the time of each stage."""

    results: list[Result]
    times: StageTimes
