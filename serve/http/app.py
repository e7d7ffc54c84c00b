"""The Flask application: all routes, and the errors that they may end with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from inference.engine.engine import Engine
from serve.errors import BadRequest, HttpError
from serve.http.body import Bodies
from serve.http.invocations import Invocations
from serve.http.refusals import Refusals, respond
from serve.http.routes import descriptions, multi_model, openai
from serve.http.routes.multi_model import Models
from serve.http.routes.playground.routes import playground
from serve.http.service import Service
from serve.http.traced import trace_requests
from serve.observe.metrics import Metrics
from serve.observe.telemetry import Telemetry
from serve.settings import Settings
from serve.wire.forms.openai import error_body
from serve.wire.media_types import JSON

NOT_READY_RETRY_MS = 1000


def create_app(service: Service) -> Flask:
    """Return the application of a service, which may still be loading."""
    app = Flask("sweetspot", static_folder=None)
    settings = service.settings
    bodies = Bodies(settings.max_requests, settings.max_bodies_bytes, settings.max_body_bytes)
    metrics = Metrics(lambda: service.engine)
    telemetry = Telemetry(metrics, *([service.metric_log.counts] if service.metric_log else []))
    answering = Invocations(settings, bodies, telemetry)
    refusals = Refusals(telemetry)
    refusals.register(app)
    trace_requests(app, service.tracing)

    @app.route("/ping", methods=["GET", "POST"])
    def ping() -> Response:
        if not service.ready:
            return respond(_not_ready(service))
        return Response(b"{}\n", mimetype=JSON)

    @app.route("/invocations", methods=["POST"])
    def invocations() -> Response:
        return answering.answer(engine())

    def engine() -> Engine:
        if service.engine is None or service.draining:
            raise _not_ready(service)
        return service.engine

    blueprints = [
        openai.routes(engine, answering, refusals),
        descriptions.routes(service, engine, metrics),
        *_more_routes(settings, engine, answering),
    ]
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    app.register_error_handler(HTTPException, _unknown_path)
    return app


def _more_routes(
    settings: Settings, engine: Callable[[], Engine], answering: Invocations
) -> Iterator[Blueprint]:
    """Yield the routes that the settings switch on."""
    if settings.multi_model:
        yield multi_model.routes(
            Models(settings), engine, answering, settings.body_timeout_ms / 1000
        )
    if settings.playground:
        yield playground(settings, engine)


def _not_ready(service: Service) -> HttpError:
    state = "stopping" if service.draining else "loading its model"
    return HttpError("not_ready", f"the service is {state}", NOT_READY_RETRY_MS)


def _unknown_path(error: HTTPException) -> Response:
    """Return the router's 404 and 405 in the form of the other errors there."""
    refusal = BadRequest(
        f"{request.method} {request.path[:100]}: POST /invocations or /v1/embeddings, GET "
        "/ping, /execution-parameters, /metrics or /openapi.json"
    )
    is_openai = request.path.startswith(openai.PREFIX)
    response = respond(refusal, error_body(refusal) if is_openai else None)
    response.status_code = error.code or response.status_code
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response
