"""The Flask application: the routes that SageMaker calls, and `/metrics`."""

from __future__ import annotations

import logging
from functools import partial

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from inference.engine.engine import Engine
from serve.errors import BadRequest, HttpError
from serve.http.body import Bodies
from serve.http.execution_parameters import execution_parameters
from serve.http.invocations import Invocations
from serve.http.multi_model import Models, routes
from serve.http.service import Service
from serve.observe.metrics import CONTENT_TYPE, Metrics
from serve.observe.telemetry import Telemetry
from serve.wire import protocol

log = logging.getLogger(__name__)

NOT_READY_RETRY_MS = 1000


def create_app(service: Service) -> Flask:
    """Return the application of a service, which may still be loading."""
    app = Flask("sweetspot", static_folder=None)
    settings = service.settings
    bodies = Bodies(settings.max_requests, settings.max_bodies_bytes, settings.max_body_bytes)
    metrics = Metrics(lambda: service.engine)
    telemetry = Telemetry(metrics)
    answering = Invocations(settings, bodies, telemetry)

    @app.route("/ping", methods=["GET", "POST"])
    def ping() -> Response:
        if not service.ready:
            return _refuse(_not_ready(service))
        return Response(b"{}\n", mimetype=protocol.JSON)

    @app.route("/invocations", methods=["POST"])
    def invocations() -> Response:
        return answering.answer(engine())

    def engine() -> Engine:
        if service.engine is None or service.draining:
            raise _not_ready(service)
        return service.engine

    if settings.multi_model:
        app.register_blueprint(
            routes(Models(settings), engine, answering, settings.body_timeout_ms / 1000)
        )

    @app.route("/execution-parameters")
    def parameters() -> Response:
        if service.engine is None:
            raise _not_ready(service)
        answer = execution_parameters(settings, service.engine.config)
        return Response(orjson.dumps(answer), mimetype=protocol.JSON)

    @app.route("/metrics")
    def scrape() -> Response:
        return Response(metrics.render(), content_type=CONTENT_TYPE)

    app.register_error_handler(HttpError, partial(_logged_refusal, telemetry))
    app.register_error_handler(HTTPException, _unknown_path)
    app.register_error_handler(Exception, partial(_internal, telemetry))
    return app


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
    """Return the router's 404 and 405 in the form of our other errors."""
    response = _refuse(
        BadRequest(
            f"{request.method} {request.path[:100]}: POST /invocations, GET /ping, "
            "/execution-parameters or /metrics"
        )
    )
    response.status_code = error.code or response.status_code
    return response


def _internal(telemetry: Telemetry, error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return _logged_refusal(telemetry, HttpError("internal", "internal error"))
