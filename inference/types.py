"""Items and results: what goes through the engine, and what comes out at the same index."""

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
# What a person waits for: a query and its variants, or one screenshot.
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
    """An image in a file or pipe of this machine. Never made of what came over the wire."""

    path: str


@dataclass(frozen=True)
class Text:
    """A query or caption."""

    text: str


@dataclass(frozen=True)
class Unreadable:
    """What stands in the place of an item and is none. reason: a sentence for the caller."""

    reason: str


Item = ImageUrl | ImageBase64 | ImageBytes | ImageFile | Text | Unreadable


@dataclass(frozen=True, eq=False)
class Embedding:
    """vector: float32 [D], unit norm. truncated: the text was cut to the context length.

    times_s: what each stage took of this item.
    """

    vector: NDArray[np.float32]
    truncated: bool = False
    times_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """An item's error as a value: a code of the closed list, a short message for people.

    times_s: what each stage took of this item.
    """

    code: str
    message: str
    retryable: bool
    times_s: Mapping[str, float] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, error: ItemError | DecodeError) -> Failure:
        """The public face of an item's error."""
        retryable = error.retryable if isinstance(error, ItemError) else False
        # A URL's host may hold what JSON cannot, and any length of it.
        message = str(error).encode("ascii", "backslashreplace").decode()[:MAX_MESSAGE_CHARS]
        return cls(error.code, message, retryable)


@dataclass(frozen=True, eq=False)
class Embeddings:
    """One item by several models, by their names. times_s: what each stage took of this item."""

    by_model: Mapping[str, Embedding]
    times_s: Mapping[str, float] = field(default_factory=dict)


Result = Embedding | Embeddings | Failure


def tower_of(item: Item) -> Tower:
    """Which half of the encoder embeds it."""
    return "text" if isinstance(item, Text) else "image"


def lane_of(items: Sequence[Item]) -> Lane:
    """The lane of a request that names none: a few texts or one image are interactive."""
    texts = all(isinstance(item, Text) for item in items)
    return "interactive" if len(items) <= (INTERACTIVE_TEXTS if texts else 1) else "bulk"


def is_unicode(text: str) -> bool:
    """Whether a text can be encoded: JSON lets half of a surrogate pair through."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True)
class Answer:
    """One result per item, in the order of the items, and where the time went."""

    results: list[Result]
    times: StageTimes
