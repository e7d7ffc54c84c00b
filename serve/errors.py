"""The errors that end a request: public code -> HTTP status, retryable."""

from __future__ import annotations

import re
from http import HTTPStatus

# code: (status, retryable). The closed list of docs/protocol.md.
CODES: dict[str, tuple[HTTPStatus, bool]] = {
    "bad_request": (HTTPStatus.BAD_REQUEST, False),
    "model_not_found": (HTTPStatus.NOT_FOUND, False),
    "model_exists": (HTTPStatus.CONFLICT, False),
    "insufficient_memory": (HTTPStatus.INSUFFICIENT_STORAGE, True),
    "not_acceptable": (HTTPStatus.NOT_ACCEPTABLE, False),
    "item_failed": (HTTPStatus.UNPROCESSABLE_ENTITY, False),
    "payload_too_large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, False),
    "unsupported_media_type": (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, False),
    "internal": (HTTPStatus.INTERNAL_SERVER_ERROR, False),
    "not_ready": (HTTPStatus.SERVICE_UNAVAILABLE, True),
    "overloaded": (HTTPStatus.SERVICE_UNAVAILABLE, True),
}
# SageMaker replaces long error bodies by a note that they could not be loaded.
MAX_MESSAGE_CHARS = 500
_NOT_PLAIN = re.compile(r"[^ -~]")


class HttpError(Exception):
    """An error that ends a request. code: of CODES. retry_after_ms: when to retry, if at all."""

    def __init__(self, code: str, message: str, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status, self.retryable = CODES[code]
        self.retry_after_ms = retry_after_ms

    def body(self) -> dict[str, dict[str, object]]:
        """Return the answer's JSON: code, message, retryable."""
        # JSON needs six characters for a control character.
        message = _NOT_PLAIN.sub(lambda found: ascii(found[0])[1:-1], str(self))
        error: dict[str, object] = {
            "code": self.code,
            "message": message[:MAX_MESSAGE_CHARS],
            "retryable": self.retryable,
        }
        if self.retry_after_ms is not None:
            error["retry_after_ms"] = self.retry_after_ms
        return {"error": error}


class BadRequest(HttpError):
    """The request does not follow docs/protocol.md."""

    def __init__(self, message: str) -> None:
        super().__init__("bad_request", message)


class ItemFailed(HttpError):
    """An item failed, and the form of the answer has no place for a failure.

    index: of the item in the request. item_code: of the item codes of docs/protocol.md.
    """

    def __init__(self, index: int, item_code: str, message: str, *, retryable: bool) -> None:
        super().__init__("item_failed", f"item {index}: {item_code}: {message}")
        self.index, self.item_code, self.retryable = index, item_code, retryable

    def body(self) -> dict[str, dict[str, object]]:
        """Return the answer's JSON, with the item's index and code."""
        error = super().body()["error"]
        return {"error": error | {"index": self.index, "item_code": self.item_code}}
