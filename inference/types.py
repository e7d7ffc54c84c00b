"""Items and results: what goes through the engine, and what comes out at the same index."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.errors import ItemError
from inference.stats import StageTimes
from model.errors import DecodeError

MAX_MESSAGE_CHARS = 300


@dataclass(frozen=True)
class ImageUrl:
    """An image to fetch: an http, https, s3 or data URL."""

    url: str


@dataclass(frozen=True)
class ImageBase64:
    """An encoded image as the base64 text of a request body."""

    text: str


@dataclass(frozen=True)
class ImageBytes:
    """An encoded image."""

    data: bytes


@dataclass(frozen=True)
class Text:
    """A query or caption."""

    text: str


Item = ImageUrl | ImageBase64 | ImageBytes | Text


@dataclass(frozen=True, eq=False)
class Embedding:
    """vector: float32 [D], unit norm. truncated: the text was cut to the context length."""

    vector: NDArray[np.float32]
    truncated: bool = False


@dataclass(frozen=True)
class Failure:
    """An item's error as a value: a code of the closed list, a short message for people."""

    code: str
    message: str
    retryable: bool

    @classmethod
    def of(cls, error: ItemError | DecodeError) -> Failure:
        """The public face of an item's error."""
        retryable = error.retryable if isinstance(error, ItemError) else False
        # A URL's host may hold what JSON cannot, and any length of it.
        message = str(error).encode("ascii", "backslashreplace").decode()[:MAX_MESSAGE_CHARS]
        return cls(error.code, message, retryable)


Result = Embedding | Failure


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
