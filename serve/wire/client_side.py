"""The client's side of docs/protocol.md: items to bytes, an answer to results. Pure."""

from __future__ import annotations

import base64
import json
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KINDS = ("url", "image", "text")
SCHEMES = ("http://", "https://", "s3://", "data:")
BYTES = (bytes, bytearray, memoryview)
_HEAD, _JOINT = b'{"inputs":[', b","
_TAIL = b'],"parameters":{"encoding":"base64"%s}}'
_LANE = b',"lane":"bulk"'
# Bytes of a body besides its items.
FRAME_BYTES = len(_HEAD) + len(_TAIL % _LANE)
MESSAGE_CHARS = 300
# The exceptions of reading foreign JSON as an answer of Sweetspot.
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


class EndpointError(Exception):
    """The endpoint refused a request as a whole, or cannot be reached.

    code: the container's request code, SageMaker's own, or `connect` (also when it broke later),
    `timeout`, `tls`, `bad_answer`, `not_configured`. retry_after_s: when to retry, if the container
    said so.
    """

    def __init__(
        self, code: str, message: str, *, retryable: bool, retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message
        self.retryable = retryable
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without calling __init__, whose keywords pickle does not know."""
        return Exception.__new__, (type(self), *self.args), vars(self)


class ConnectionBroken(EndpointError):
    """The connection broke before the whole answer had arrived. Its code is `connect`."""

    def __init__(self, message: str) -> None:
        super().__init__("connect", message, retryable=True)


class NotReached(EndpointError):
    """No connection was made: an unknown host, a refusal, silence. Its code is `connect`."""

    def __init__(self, message: str) -> None:
        super().__init__("connect", message, retryable=True)


class NotConfigured(EndpointError, ValueError):
    """AWS is not configured here, so that no endpoint of a name can be asked."""

    def __init__(self, message: str) -> None:
        super().__init__("not_configured", message, retryable=False)


@dataclass(frozen=True)
class Item:
    """One encoded item. index: its place in the whole input. id: the caller's. data: JSON."""

    index: int
    id: str | None
    data: bytes


@dataclass(frozen=True)
class Embedded:
    """An item's embedding: `array('f')` of unit norm. truncated: its text was too long."""

    index: int
    id: str | None
    embedding: array[float]
    truncated: bool = False


@dataclass(frozen=True)
class Failed:
    """Why an item has no embedding: a code of the protocol, and whether a retry may help."""

    index: int
    id: str | None
    code: str
    message: str
    retryable: bool


Result = Embedded | Failed


@dataclass(frozen=True)
class Answer:
    """The answer to one request. fingerprint: compare embeddings only if it is equal."""

    fingerprint: str
    results: tuple[Result, ...]


def is_url(name: str) -> bool:
    """Return whether a name on a command line is an image's URL, rather than a file."""
    return name.lower().startswith(SCHEMES)


def encode_item(index: int, item: Any) -> Item:
    """Encode `{"url" or "text": str, or "image": encoded bytes; "id": str, optional}` as JSON.

    Raises:
        ValueError: the item has another form; the message names its index.
    """
    keys = set(item) if isinstance(item, Mapping) else set()
    given = [kind for kind in KINDS if kind in keys]
    if len(given) != 1 or keys - {*KINDS, "id"}:
        raise ValueError(f"item {index} must have one of {', '.join(KINDS)}, optionally an id")
    kind, item_id = given[0], item.get("id")
    value = item[kind]
    if not isinstance(value, BYTES if kind == "image" else str):
        wrong = f"item {index}: {kind} cannot be {type(value).__name__}"
        raise ValueError(wrong)  # noqa: TRY004 - as any other wrong item
    if not (item_id is None or isinstance(item_id, str)) or not _is_unicode(item_id or ""):
        raise ValueError(f"item {index}: id must be Unicode text")
    body = {kind: value if isinstance(value, str) else base64.b64encode(value).decode("ascii")}
    # ids are not sent: results are matched by their index. ASCII, so that even a lone surrogate
    # can be sent, and fails only its item.
    return Item(index, item_id, json.dumps(body, separators=(",", ":")).encode("ascii"))


def encode_body(items: Sequence[Item], *, bulk: bool) -> bytes:
    """Return a request's body. bulk: ask for that lane, else the endpoint decides by size."""
    inputs = _JOINT.join(item.data for item in items)
    return _HEAD + inputs + _TAIL % (_LANE if bulk else b"")


def decode_answer(body: bytes, items: Sequence[Item]) -> Answer:
    """Return the results of a 200, one for each of `items`, in order.

    Raises:
        EndpointError: `bad_answer` if it is not an answer of a Sweetspot container.
    """
    try:
        answer = json.loads(body)
        dimension, found = answer["dimension"], answer["results"]
        if [one["index"] for one in found] != list(range(len(items))):
            raise ValueError("not one result for each item")
        results = [_result(item, one, dimension) for item, one in zip(items, found, strict=True)]
        return Answer(str(answer["fingerprint"]), tuple(results))
    except _MALFORMED as exc:
        said = f"not an answer of Sweetspot ({exc!r}): {clip(body)}"
        raise EndpointError("bad_answer", said, retryable=False) from exc


def decode_refusal(status: int, body: bytes) -> EndpointError:
    """Return the error of any other status: the container's own, or one made of the status."""
    try:
        error = json.loads(body)["error"]
        code, message, after_ms = error["code"], error["message"], error.get("retry_after_ms")
        after_s = None if after_ms is None else max(0.0, float(after_ms) / 1000)
        again = error["retryable"] is True
        return EndpointError(str(code), str(message), retryable=again, retry_after_s=after_s)
    except _MALFORMED:
        may_pass = status in {408, 429} or status >= 500
        return EndpointError(f"http_{status}", clip(body) or "no message", retryable=may_pass)


def _result(item: Item, one: Mapping[str, Any], dimension: int) -> Result:
    if "error" in one:
        error = one["error"]
        again = error["retryable"] is True
        return Failed(item.index, item.id, str(error["code"]), str(error["message"]), again)
    embedding = array("f", base64.b64decode(one["embedding"], validate=True))
    if sys.byteorder == "big":
        embedding.byteswap()
    if len(embedding) != dimension:
        raise ValueError(f"{len(embedding)} dimensions, not {dimension}")
    return Embedded(item.index, item.id, embedding, truncated=bool(one.get("truncated", False)))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def clip(body: bytes) -> str:
    """Return the beginning of a body, for a message."""
    return body[:MESSAGE_CHARS].decode(errors="replace").strip()
