"""The trace of Flask's current request, if the service traces and the request is sampled."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

from serve.observe.untraced import UNTRACED, Untraced
from serve.wire.media_types import CUSTOM_ATTRIBUTES
from serve.wire.parameters import attributes_of

if TYPE_CHECKING:
    from serve.observe.tracing.tracing import Tracing

KEY = "sweetspot.trace"
# The endpoints of Flask whose requests are embedded. A ping has no span.
TRACED = {"invocations", "models.invoke", "openai.embeddings"}


def trace_requests(app: Flask, tracing: Tracing | None) -> None:
    """Trace the requests for embeddings, from their arrival to their last byte. None is off."""
    if tracing is None:
        return

    @app.before_request
    def begin() -> None:
        if request.endpoint not in TRACED or request.url_rule is None:
            return
        attributes = dict(attributes_of(request.headers.get(CUSTOM_ATTRIBUTES, "")))
        trace = tracing.begin(request.method, request.url_rule.rule, request.headers, attributes)
        if trace is not None:
            request.environ[KEY] = trace

    @app.after_request
    def end(response: Response) -> Response:
        if (trace := request.environ.get(KEY)) is not None:
            # The server closes a response after its last byte, or when the client leaves.
            response.call_on_close(partial(trace.end, response.status_code))
        return response


def trace_of(environ: Mapping[str, Any]) -> Untraced:
    """Return the trace of a request. environ: of WSGI."""
    trace: Untraced = environ.get(KEY, UNTRACED)
    return trace
