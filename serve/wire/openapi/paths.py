"""Routes: their bodies, their answers, and the status of each error they may end with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from serve.errors import CODES
from serve.wire.media_types import (
    CSV,
    CUSTOM_ATTRIBUTES,
    JSON,
    JSON_LINES_TYPES,
    NPY,
    PARTIAL,
    TARGET_MODEL,
)
from serve.wire.openapi.schema import NAME, STRING, Schema, ref
from serve.wire.protocol import PARSERS

EMBEDDING = (
    "bad_request", "model_not_found", "not_acceptable", "payload_too_large",
    "unsupported_media_type", "item_failed", "internal", "not_ready",
)  # fmt: skip
# gunicorn's own, of a request line of more than 4,094 bytes.
TOO_LONG = {"description": "the URL is too long", "content": {"text/html": {"schema": STRING}}}
BINARY: Schema = {"type": "string", "format": "binary"}
# Of a text, which has no type but its media type.
ANY: Schema = {"minLength": 1}


def paths() -> dict[str, Any]:
    """Return the routes that every service has."""
    return {
        "/invocations": {"post": _invocations("Embed images and texts")},
        "/v1/embeddings": {"post": _embeddings()},
        "/v1/models": {"get": _reads("List the models, as OpenAI does", "ModelList", _OPENAI)},
        "/v1/models/{name}": {
            "parameters": [_in_path()],
            "get": _reads(
                "Tell of one model, as OpenAI does", "Model", _OPENAI, ["model_not_found"]
            ),
        },
        "/ping": {method: _ping(method) for method in ("get", "post")},
        "/execution-parameters": {
            "get": _reads("Tell how a batch transform should ask", "ExecutionParameters")
        },
        "/metrics": {
            "get": _operation("Tell Prometheus", {"200": _content({"text/plain": STRING})}, [])
        },
        "/openapi.json": {
            "get": _operation("Describe the API", {"200": _json({"type": "object"})}, [])
        },
    }


def multi_model_paths() -> dict[str, Any]:
    """Return the routes of SageMaker's multi-model API."""
    loads = ["bad_request", "model_exists", "insufficient_memory", "payload_too_large"]
    return {
        "/models": {
            "get": _reads("List the loaded models", "HostedModels", errors=["bad_request"])
            | {"parameters": [_in_query("limit", 1), _in_query("next_page_token", 0)]},
            "post": _operation(
                "Load a model",
                {"200": _json(ref("HostedModel"))},
                [*loads, "internal", "not_ready"],
            )
            | {"requestBody": _body({JSON: ref("LoadModel")})},
        },
        "/models/{name}": {
            "parameters": [_in_path()],
            "get": _reads("Tell of a model", "HostedModel", errors=["model_not_found"]),
            "delete": _operation(
                "Unload a model",
                {"200": _json(ref("UnloadedModel"))},
                ["model_not_found", "internal", "not_ready"],
            ),
        },
        "/models/{name}/invoke": {
            "parameters": [_in_path()],
            "post": _invocations("Embed by one model"),
        },
    }


_OPENAI = "OpenAiError"


def _invocations(summary: str) -> dict[str, Any]:
    texts = ("text/plain", CSV, *JSON_LINES_TYPES)
    bodies = {name: ANY if name in texts else BINARY for name in PARSERS if name != JSON}
    found = dict.fromkeys((*JSON_LINES_TYPES, CSV), STRING) | {NPY: BINARY}
    answer = _content({JSON: ref("InvocationAnswer")} | found)
    answer["headers"] = {CUSTOM_ATTRIBUTES: {"schema": STRING}}
    return _operation(summary, {"200": answer}, EMBEDDING) | {
        "parameters": [_in_header(CUSTOM_ATTRIBUTES), _in_header(TARGET_MODEL)],
        "requestBody": _body({JSON: ref("Invocation")} | bodies),
    }


def _embeddings() -> dict[str, Any]:
    answers = {"200": _json(ref("EmbeddingsAnswer"))}
    return _operation("Embed, as OpenAI does", answers, EMBEDDING, _OPENAI) | {
        "parameters": [
            _in_header(CUSTOM_ATTRIBUTES),
            _in_header(TARGET_MODEL),
            _in_header(PARTIAL),
        ],
        "requestBody": _body({JSON: ref("EmbeddingsRequest")}),
    }


def _ping(method: str) -> dict[str, Any]:
    answers = {"200": _json({"type": "object"})}
    return _operation("Tell whether the model is loaded", answers, ["not_ready"]) | {
        "operationId": f"ping_{method}"
    }


def _reads(
    summary: str, schema: str, error: str = "Error", errors: Sequence[str] = ()
) -> dict[str, Any]:
    return _operation(summary, {"200": _json(ref(schema))}, [*errors, "not_ready"], error)


def _operation(
    summary: str, answers: Mapping[str, Any], errors: Sequence[str], error: str = "Error"
) -> dict[str, Any]:
    by_status: dict[str, list[str]] = {}
    for code in errors:
        by_status.setdefault(str(int(CODES[code][0])), []).append(code)
    refusals = {
        status: _json(ref(error)) | {"description": " or ".join(codes)}
        for status, codes in sorted(by_status.items())
    }
    return {"summary": summary, "responses": {**answers, **refusals, "414": TOO_LONG}}


def _body(content: Mapping[str, Schema]) -> dict[str, Any]:
    return {"required": True, **_of_types(content)}


def _json(schema: Schema) -> dict[str, Any]:
    return _content({JSON: schema})


def _content(content: Mapping[str, Schema]) -> dict[str, Any]:
    return {"description": "done", **_of_types(content)}


def _of_types(content: Mapping[str, Schema]) -> dict[str, Any]:
    return {"content": {name: {"schema": schema} for name, schema in content.items()}}


def _in_header(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": STRING}


def _in_query(name: str, least: int) -> dict[str, Any]:
    number = {"type": "integer", "minimum": least, "maximum": 10**9 - 1}
    return {"name": name, "in": "query", "schema": number}


def _in_path() -> dict[str, Any]:
    return {"name": "name", "in": "path", "required": True, "schema": NAME}
