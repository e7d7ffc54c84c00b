"""The Flask application: `/ping`, `/invocations` and `/metrics`, nothing else."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from inference.errors import ClientLeft, Overloaded
from inference.types import Answer, Lane, lane_of
from serve import protocol
from serve.body import Bodies, client_left, read
from serve.errors import BadRequest, HttpError, overloaded
from serve.metrics import CONTENT_TYPE, Metrics
from serve.protocol import EmbedRequest
from serve.service import Service
from serve.settings import Settings
from serve.telemetry import Telemetry

log = logging.getLogger(__name__)

# nginx's status for a client that closed the connection; nobody receives it.
CLIENT_CLOSED_REQUEST = 499
NOT_READY_RETRY_MS = 1000


def create_app(service: Service) -> Flask:
    """The application over a service that may still be loading."""
    app = Flask("sweetspot", static_folder=None)
    settings = service.settings
    bodies = Bodies(settings.max_requests, settings.max_bodies_bytes, settings.max_body_bytes)
    metrics = Metrics(lambda: service.engine)
    telemetry = Telemetry(metrics)

    @app.route("/ping", methods=["GET", "POST"])
    def ping() -> Response:
        if not service.ready:
            return _refuse(_not_ready(service))
        return Response(b"{}\n", mimetype=protocol.JSON)

    @app.route("/invocations", methods=["POST"])
    def invocations() -> Response:
        if service.engine is None or service.draining:
            raise _not_ready(service)
        with bodies.admit(request.environ) as limit:
            media_type, asked = _parse(settings, limit)
            lane = asked.parameters.lane or lane_of(asked.items)
            with bodies.admit_to(lane):
                try:
                    answer = _embed(service, asked, lane, request.environ)
                except ClientLeft:
                    telemetry.left(lane)
                    return Response(status=CLIENT_CLOSED_REQUEST)
                response = _render(service, media_type, asked, answer)
        telemetry.answered(lane, answer)
        return response

    @app.route("/metrics")
    def scrape() -> Response:
        return Response(metrics.render(), content_type=CONTENT_TYPE)

    app.register_error_handler(HttpError, partial(_logged_refusal, telemetry))
    app.register_error_handler(HTTPException, _unknown_path)
    app.register_error_handler(Exception, partial(_internal, telemetry))
    return app


def _parse(settings: Settings, limit: int) -> tuple[str, EmbedRequest]:
    """Read the request: the answer's media type, and what is asked."""
    media_type = protocol.negotiate(request.headers.get("Accept", ""))
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise HttpError("unsupported_media_type", f"Content-Encoding {encoding!r}: send it plain")
    asked = protocol.parse(
        request.headers.get("Content-Type", ""),
        request.headers.get(protocol.CUSTOM_ATTRIBUTES, ""),
        read(request.environ, limit, settings.body_timeout_ms / 1000),
        settings.max_items,
    )
    if asked.parameters.stream:
        raise BadRequest(f"an answer in {media_type} cannot be streamed")
    return media_type, asked


def _embed(service: Service, asked: EmbedRequest, lane: Lane, environ: Mapping[str, Any]) -> Answer:
    settings, engine = service.settings, service.loaded
    deadline_ms = min(
        asked.parameters.deadline_ms or settings.deadline_ms, settings.max_deadline_ms
    )
    try:
        return engine.embed(
            asked.items, time.monotonic() + deadline_ms / 1000, lambda: client_left(environ), lane
        )
    except Overloaded as exc:
        raise overloaded(exc) from exc


def _render(service: Service, media_type: str, asked: EmbedRequest, answer: Answer) -> Response:
    spec = service.loaded.spec
    response = Response(protocol.render(asked, answer, spec), mimetype=media_type)
    response.headers[protocol.CUSTOM_ATTRIBUTES] = protocol.render_attributes(answer, spec)
    return response


def _not_ready(service: Service) -> HttpError:
    state = "stopping" if service.draining else "loading its model"
    return HttpError("not_ready", f"the service is {state}", NOT_READY_RETRY_MS)


def _refuse(error: HttpError) -> Response:
    response = Response(orjson.dumps(error.body()), status=error.status, mimetype=protocol.JSON)
    if error.retry_after_ms is not None:
        response.headers["Retry-After"] = str(-(-error.retry_after_ms // 1000))
    return response


def _logged_refusal(telemetry: Telemetry, error: HttpError) -> Response:
    telemetry.refused(error.status, error.code, str(error))
    return _refuse(error)


def _unknown_path(error: HTTPException) -> Response:
    """404 and 405 of the router, in the form of our other errors."""
    response = _refuse(
        BadRequest(
            f"{request.method} {request.path[:100]}: POST /invocations, GET /ping or /metrics"
        )
    )
    response.status_code = error.code or response.status_code
    return response


def _internal(telemetry: Telemetry, error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return _logged_refusal(telemetry, HttpError("internal", "internal error"))
