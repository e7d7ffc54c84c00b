"""The bodies and answers of OpenAI's embeddings API."""

from __future__ import annotations

from collections.abc import Collection

from serve.wire.forms.openai import ENCODINGS, MODALITIES
from serve.wire.openapi.schema import (
    COUNT,
    STRING,
    Schema,
    any_of,
    array,
    choice,
    closed,
    one_of_the_fields,
    opened,
    ref,
)

NULL: Schema = {"type": "null"}


def openai(max_items: int, dimensions: Collection[int]) -> dict[str, Schema]:
    """Return the schemas by name. dimensions: of the loaded models."""
    return {
        "EmbeddingsRequest": _request(max_items, dimensions),
        "EmbeddingsInput": any_of(
            STRING,
            closed(dict.fromkeys(MODALITIES, STRING), **one_of_the_fields(*MODALITIES)),
        ),
        "EmbeddingsMessage": opened(
            {"content": any_of(STRING, array(_part(), most=1))}, ["content"]
        ),
        "EmbeddingsAnswer": closed(_answer(), [*_answer()]),
        "ModelList": closed(
            {"object": choice("list"), "data": array(ref("Model"), least=0)}, ["object", "data"]
        ),
        "Model": closed(_model(), [*_model()]),
        "OpenAiError": closed({"error": _error()}, ["error"]),
    }


def _request(max_items: int, dimensions: Collection[int]) -> Schema:
    fields = {
        "input": any_of(ref("EmbeddingsInput"), array(ref("EmbeddingsInput"), most=max_items)),
        "messages": array(ref("EmbeddingsMessage"), most=1),
        "model": any_of(ref("ModelName"), NULL),
        "encoding_format": choice(*ENCODINGS, None),
        "dimensions": choice(*sorted(set(dimensions)), None),
        "modality": choice(*MODALITIES, None),
        "user": {},
    }
    return closed(fields, **one_of_the_fields("input", "messages"))


def _part() -> Schema:
    image = opened({"url": STRING}, ["url"])
    return any_of(
        opened({"type": choice("text"), "text": STRING}, ["type", "text"]),
        opened({"type": choice("image_url"), "image_url": image}, ["type", "image_url"]),
    )


def _answer() -> Schema:
    one = {
        "object": choice("embedding"),
        "index": COUNT,
        "embedding": any_of(ref("Embedding"), NULL),
        "error": _error(),
    }
    return {
        "object": choice("list"),
        "data": array(closed(one, ["object", "index", "embedding"])),
        "model": STRING,
        "usage": closed(
            {"prompt_tokens": COUNT, "total_tokens": COUNT}, ["prompt_tokens", "total_tokens"]
        ),
    }


def _model() -> Schema:
    return {"id": STRING, "object": choice("model"), "created": COUNT, "owned_by": STRING}


def _error() -> Schema:
    fields = {
        "message": STRING,
        "type": choice("invalid_request_error", "server_error"),
        "param": any_of(STRING, NULL),
        "code": STRING,
    }
    return closed(fields, [*fields])
