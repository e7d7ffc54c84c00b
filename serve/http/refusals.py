"""Errors that end a request: logged, counted, and answered in the form of their route."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from flask import Blueprint, Flask, Response, request

from serve.errors import HttpError
from serve.http.request_id import request_id_of
from serve.http.traced import trace_of
from serve.observe.telemetry import Telemetry
from serve.wire.media_types import JSON

log = logging.getLogger(__name__)


def respond(error: HttpError, body: Mapping[str, Any] | None = None) -> Response:
    """Return an error's response. body: in another form than docs/protocol.md's."""
    response = Response(orjson.dumps(body or error.body()), error.status, mimetype=JSON)
    if error.retry_after_ms is not None:
        response.headers["Retry-After"] = str(-(-error.retry_after_ms // 1000))
    return response


class Refusals:
    """Answers the errors of routes, and tells the telemetry."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def register(
        self, routes: Flask | Blueprint, answer: Callable[[HttpError], Response] = respond
    ) -> None:
        """Answer all errors of these routes by `answer`."""

        def refused(error: HttpError) -> Response:
            environ = request.environ
            self._telemetry.refused(
                error.status, error.code, str(error), trace_of(environ), request_id_of(environ)
            )
            return answer(error)

        def broken(error: Exception) -> Response:
            log.error("a request failed", exc_info=error)
            return refused(HttpError("internal", "internal error"))

        routes.register_error_handler(HttpError, refused)
        routes.register_error_handler(Exception, broken)
