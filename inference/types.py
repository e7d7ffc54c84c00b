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


@dataclass(frozen=True, eq=False)
class Embedding:
    """vector: float32 [D], unit norm. truncated: the text was cut to the context length.

    times_s: seconds that each stage spent on this item.
    """

    vector: NDArray[np.float32]
    truncated: bool = False
    times_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """An item's error as a value: a code of the closed list, a short message for people.

    times_s: seconds that each stage spent on this item.
    """

    code: str
    message: str
    retryable: bool
    times_s: Mapping[str, float] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, error: ItemError | DecodeError) -> Failure:
        """Return an item's error as a value."""
        retryable = error.retryable if isinstance(error, ItemError) else False
        # A URL's host may be of any length, and may have characters that JSON cannot hold.
        message = str(error).encode("ascii", "backslashreplace").decode()[:MAX_MESSAGE_CHARS]
        return cls(error.code, message, retryable)


@dataclass(frozen=True, eq=False)
class Embeddings:
    """One item's embeddings by model name. times_s: seconds that each stage spent on this item."""

    by_model: Mapping[str, Embedding]
    times_s: Mapping[str, float] = field(default_factory=dict)


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
