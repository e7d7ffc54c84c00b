"""Send requests to an endpoint under load, and count the items of each answer."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson

from inference.loadtest.summary import Outcome, RequestFailed
from serve.asking.transports import JSON, Transport
from serve.wire.client_side import ConnectionBroken, EndpointError, clip

MAX_TRIES = 5
MAX_PAUSE_S = 5.0


@dataclass(frozen=True)
class Body:
    """A request's body."""

    data: bytes
    content_type: str = JSON


def invoke(target: Transport, body: Body) -> Outcome:
    """Send a request, and count the answer's items. Raises RequestFailed."""
    answer, retried = ask(target, body)
    failed = Counter(one["error"]["code"] for one in answer["results"] if "error" in one)
    return Outcome(len(answer["results"]) - failed.total(), dict(failed), retried)


def ask(target: Transport, body: Body) -> tuple[dict[str, Any], int]:
    """Send a request; retry at most four times, after the pause an overloaded container gives.

    Returns:
        The answer's JSON, and the number of retries.

    Raises:
        RequestFailed: any other error, by its code; `broken` for a connection that broke.
    """
    for retried in range(MAX_TRIES):
        try:
            return _answer(target.send(body.data, body.content_type), retried), retried
        except EndpointError as exc:
            if exc.retry_after_s is None or retried + 1 == MAX_TRIES:
                code = "broken" if isinstance(exc, ConnectionBroken) else exc.code
                raise RequestFailed(code, exc.message, retried) from exc
            time.sleep(min(exc.retry_after_s, MAX_PAUSE_S))
    raise AssertionError("the last try has returned or raised")


def _answer(body: bytes, retried: int) -> dict[str, Any]:
    """Parse an answer's JSON. Raises RequestFailed when it has no results."""
    try:
        answer = orjson.loads(body)
        if isinstance(answer["results"], list):
            return dict(answer)
    except (ValueError, TypeError, KeyError):
        pass
    raise RequestFailed("bad_answer", f"not an answer of Sweetspot: {clip(body)}", retried)
