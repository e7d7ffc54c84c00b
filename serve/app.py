"""The Flask application: `/ping` and `/invocations`, nothing else."""

from __future__ import annotations

import logging
import time

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from inference.engine import Engine
from inference.errors import ClientLeft, Overloaded
from serve import protocol, telemetry
from serve.body import Bodies, client_left, read
from serve.errors import BadRequest, HttpError, overloaded
from serve.service import Service

log = logging.getLogger(__name__)

# nginx's status for a client that closed the connection; nobody receives it.
CLIENT_CLOSED_REQUEST = 499
NOT_READY_RETRY_MS = 1000


def create_app(service: Service) -> Flask:
    """The application over a service that may still be loading."""
    app = Flask("sweetspot", static_folder=None)
    settings = service.settings
    bodies = Bodies(settings.max_requests, settings.max_bodies_bytes, settings.max_body_bytes)

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
            return _invoke(service.engine, service, limit)

    app.register_error_handler(HttpError, _logged_refusal)
    app.register_error_handler(HTTPException, _unknown_path)
    app.register_error_handler(Exception, _internal)
    return app


def _invoke(engine: Engine, service: Service, limit: int) -> Response:
    settings = service.settings
    media_type = protocol.negotiate(request.headers.get("Accept", ""))
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise HttpError("unsupported_media_type", f"Content-Encoding {encoding!r}: send it plain")
    body = read(request.environ, limit, settings.body_timeout_ms / 1000)
    asked = protocol.parse(
        request.headers.get("Content-Type", ""),
        request.headers.get(protocol.CUSTOM_ATTRIBUTES, ""),
        body,
        settings.max_items,
    )
    del body
    if asked.parameters.stream:
        raise BadRequest(f"an answer in {media_type} cannot be streamed")
    deadline_ms = min(
        asked.parameters.deadline_ms or settings.deadline_ms, settings.max_deadline_ms
    )
    environ = request.environ
    try:
        answer = engine.embed(
            asked.items, time.monotonic() + deadline_ms / 1000, lambda: client_left(environ)
        )
    except Overloaded as exc:
        raise overloaded(exc) from exc
    except ClientLeft:
        return Response(status=CLIENT_CLOSED_REQUEST)
    response = Response(protocol.render(asked, answer, engine.spec), mimetype=media_type)
    response.headers[protocol.CUSTOM_ATTRIBUTES] = protocol.render_attributes(answer, engine.spec)
    telemetry.log_answered(asked, answer)
    return response


def _not_ready(service: Service) -> HttpError:
    state = "stopping" if service.draining else "loading its model"
    return HttpError("not_ready", f"the service is {state}", NOT_READY_RETRY_MS)


def _refuse(error: HttpError) -> Response:
    response = Response(orjson.dumps(error.body()), status=error.status, mimetype=protocol.JSON)
    if error.retry_after_ms is not None:
        response.headers["Retry-After"] = str(-(-error.retry_after_ms // 1000))
    return response


def _logged_refusal(error: HttpError) -> Response:
    telemetry.log_refused(error.status, error.code, str(error))
    return _refuse(error)


def _unknown_path(error: HTTPException) -> Response:
    """404 and 405 of the router, in the form of our other errors."""
    response = _refuse(
        BadRequest(f"{request.method} {request.path[:100]}: POST /invocations or GET /ping")
    )
    response.status_code = error.code or response.status_code
    return response


def _internal(_: Exception) -> Response:
    log.exception("a request failed")
    return _refuse(HttpError("internal", "internal error"))
