"""What a service tells of itself: `/execution-parameters`, `/metrics` and `/openapi.json`."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from flask import Blueprint, Response

from inference.engine.engine import Engine
from model.errors import DISTRIBUTION
from serve.http.routes.execution_parameters import execution_parameters
from serve.http.routes.json_response import json_response
from serve.http.service import Service
from serve.observe.metrics import CONTENT_TYPE, Metrics
from serve.wire.openapi.document import document


def routes(service: Service, engine: Callable[[], Engine], metrics: Metrics) -> Blueprint:
    """Return the routes. engine: returns the engine, or raises HttpError if not ready."""
    api = Blueprint("descriptions", __name__)

    @api.get("/execution-parameters")
    def parameters() -> Response:
        answer = execution_parameters(service.settings, engine().config)
        return json_response(answer)

    @api.get("/metrics")
    def scrape() -> Response:
        return Response(metrics.render(), content_type=CONTENT_TYPE)

    @api.get("/openapi.json")
    def openapi() -> Response:
        loaded = service.engine.models if service.engine else {}
        described = document(version(DISTRIBUTION), service.settings, loaded)
        return json_response(described)

    return api
