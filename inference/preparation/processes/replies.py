"""What a preparing process tells the service, as JSON.

It is not pickled: a process that a hostile image has taken over must not run code in the service.
"""

from __future__ import annotations

import operator
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from inference import errors
from inference.errors import FetchError, ItemError
from inference.fetching.header_values import MAX_RETRY_AFTER_S, is_etag
from inference.types import Failure, ImageDetails
from model.errors import CorruptImage, DecodeError, TooManyPixels, UnsupportedImage

# Stage, and its start and end: instants of `time.perf_counter`.
Span = tuple[str, float, float]

SHA256_BYTES = 32
_ITEM_ERRORS: dict[str, type[ItemError]] = {
    one.code: one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, ItemError) and one not in (ItemError, FetchError)
}
_DECODE_ERRORS: dict[str, type[DecodeError]] = {
    one.code: one for one in (CorruptImage, UnsupportedImage, TooManyPixels)
}


class RemoteFault(Exception):
    """An unexpected error in a preparing process. The message is its traceback.

    name: of its type. place: the file and line that raised it.
    """

    def __init__(self, name: str, place: str, text: str) -> None:
        super().__init__(text)
        self.name, self.place = name, place


@dataclass(frozen=True)
class Done:
    """An image's outcome. error: None when its pixels are in the slot. details: if asked for."""

    slot: int
    spans: Sequence[Span]
    error: Exception | None = None
    details: ImageDetails | None = None


@dataclass(frozen=True)
class Wanted:
    """A thread waits for memory to decode in."""

    thread: int
    size_bytes: int


@dataclass(frozen=True)
class Freed:
    """A thread gives its memory back."""

    thread: int


Reply = Done | Wanted | Freed


def ready(slot: int, spans: Sequence[Span], details: ImageDetails | None) -> bytes:
    """Tell that the pixels are in their slot."""
    return orjson.dumps(["ready", slot, spans, _told(details)])


def failed(slot: int, spans: Sequence[Span], exc: Exception, details: ImageDetails | None) -> bytes:
    """Tell why there are no pixels."""
    about = (slot, spans, _told(details))
    if isinstance(exc, ItemError | DecodeError):
        failure = Failure.of(exc)
        told = [failure.code, failure.message, failure.retryable, failure.retry_after_s]
        return orjson.dumps(["failed", *about, *told])
    text = "".join(traceback.format_exception(exc)).encode("ascii", "backslashreplace").decode()
    return orjson.dumps(["fault", *about, type(exc).__name__, place_of(exc), text])


def place_of(exc: Exception) -> str:
    """Return the file and line that raised an error."""
    frames = traceback.extract_tb(exc.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def wants(thread: int, size_bytes: int) -> bytes:
    """Ask for memory."""
    return orjson.dumps(["wants", thread, size_bytes])


def frees(thread: int) -> bytes:
    """Give memory back."""
    return orjson.dumps(["frees", thread])


def read(message: bytes) -> Reply:
    """Read a reply. Raises ValueError, TypeError or KeyError if it is none."""
    kind, *rest = orjson.loads(message)
    match kind, rest:
        case "ready", [int(slot), list(spans), details]:
            return _done(slot, spans, details, None)
        case "failed", [int(slot), list(spans), details, str(code), str(text), bool(again), pause]:
            return _done(slot, spans, details, _error(code, text, again, pause))
        case "fault", [int(slot), list(spans), details, str(name), str(place), str(text)]:
            return _done(slot, spans, details, RemoteFault(name, place, text))
        case "wants", [int(thread), int(size_bytes)]:
            return Wanted(thread, size_bytes)
        case "frees", [int(thread)]:
            return Freed(thread)
        case _:
            raise ValueError(f"not a reply: {kind!r}")


def _done(slot: int, spans: list[Any], details: Any, error: Exception | None) -> Done:
    return Done(slot, [_span(one) for one in spans], error, _details(details))


def _span(one: Any) -> Span:
    stage, start_s, end_s = one
    return str(stage), float(start_s), float(end_s)


def _told(details: ImageDetails | None) -> list[Any] | None:
    if details is None:
        return None
    size = (details.width, details.height)
    return [details.sha256.hex(), details.fetched_s, details.etag, *size]


def _details(told: Any) -> ImageDetails | None:
    if told is None:
        return None
    digest, fetched_s, etag, width, height = told
    sha256 = bytes.fromhex(digest)
    if len(sha256) != SHA256_BYTES or not (etag is None or is_etag(etag)):
        raise ValueError("not the details of an image")
    return ImageDetails(sha256, float(fetched_s), etag, _side(width), _side(height))


def _side(told: Any) -> int | None:
    return None if told is None else operator.index(told)


def _error(code: str, message: str, retryable: bool, retry_after_s: Any) -> ItemError | DecodeError:
    """Return the error as it was raised in the other process."""
    if (decoding := _DECODE_ERRORS.get(code)) is not None:
        return decoding(message)
    kind = _ITEM_ERRORS[code]
    if not issubclass(kind, FetchError):
        return kind(message)
    if retry_after_s is not None and not 0.0 <= retry_after_s <= MAX_RETRY_AFTER_S:
        raise ValueError("not a time to retry after")
    return kind(message, retryable=retryable, retry_after_s=retry_after_s)
