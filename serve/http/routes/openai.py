"""OpenAI's embeddings API: `/v1/embeddings` and `/v1/models`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from flask import Blueprint, Response, request

from inference.engine.engine import Engine
from serve.errors import HttpError, ItemFailed
from serve.http.invocations import Invocations
from serve.http.refusals import Refusals, respond
from serve.http.routes.json_response import json_response
from serve.wire.embed_request import Body, EmbedRequest, Parameters
from serve.wire.forms.openai import error_body, parse_embeddings
from serve.wire.json_body import load_object
from serve.wire.media_types import JSON, PARTIAL
from serve.wire.wording import clip

PREFIX = "/v1"


def routes(engine: Callable[[], Engine], answering: Invocations, refusals: Refusals) -> Blueprint:
    """Return the API's routes. engine: returns the engine, or raises HttpError if not ready."""
    api = Blueprint("openai", __name__, url_prefix=PREFIX)
    # The API dates a model. This is when the service that offers it started, Unix time.
    created = int(datetime.now(UTC).timestamp())

    @api.post("/embeddings")
    def embeddings() -> Response:
        allowed = request.headers.get(PARTIAL, "").strip().lower() == "allow"
        parser = partial(_parse, partial=allowed)
        return answering.answer(engine(), parsers={JSON: parser})

    @api.get("/models")
    def models() -> Response:
        listed = [_model(name, created) for name in engine().models]
        return json_response({"object": "list", "data": listed})

    @api.get("/models/<path:name>")
    def model(name: str) -> Response:
        if name not in engine().models:
            raise HttpError("model_not_found", f"no model {clip(name)} is loaded")
        return json_response(_model(name, created))

    refusals.register(api, _refuse)
    return api


def _parse(data: Body, parameters: Parameters, max_items: int, *, partial: bool) -> EmbedRequest:
    return parse_embeddings(load_object(data, "the body"), parameters, max_items, partial=partial)


def _model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "sweetspot"}


def _refuse(error: HttpError) -> Response:
    response = respond(error, error_body(error))
    if isinstance(error, ItemFailed):
        # OpenAI's clients follow this header; else they would never retry a 422.
        response.headers["x-should-retry"] = "true" if error.retryable else "false"
    return response
