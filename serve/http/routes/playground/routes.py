"""The routes of the page: `/`, its files and its facts. Embeddings come from `/invocations`."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, abort

from inference.engine.engine import Engine
from serve.http.routes.json_response import json_response
from serve.http.routes.playground.facts import facts
from serve.http.routes.playground.page_files import INDEX, page_files
from serve.settings import Settings

# The page loads its own files and asks its own service, nothing else. Pictures are those that the
# user dropped (blob:) or pasted (data:). Markup is never made from text.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def playground(settings: Settings, engine: Callable[[], Engine]) -> Blueprint:
    """Return the routes. engine: raises HttpError while the model loads."""
    blueprint = Blueprint("playground", __name__)
    files = page_files()

    @blueprint.route("/")
    def index() -> Response:
        return file(INDEX)

    @blueprint.route("/playground/<name>")
    def file(name: str) -> Response:
        if name not in files:
            abort(404)
        return Response(files[name].data, content_type=files[name].media_type)

    @blueprint.route("/playground/facts")
    def show_facts() -> Response:
        return json_response(facts(settings, engine()))

    @blueprint.after_request
    def guard(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    return blueprint
