"""OpenAI's embeddings API: its request, its answer and its errors.

Beside texts, an input may be an image: as `{"image": ...}`, by infinity's `"modality": "image"`, or
in vLLM's chat form, `messages` with one image or one text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, cast

import orjson

from inference.types import Answer, Embedding, Failure, Item, Result, Text
from serve.errors import BadRequest, HttpError, ItemFailed
from serve.wire.answers import numbers
from serve.wire.embed_request import EmbedRequest, Form, Parameters, Specs
from serve.wire.forms.images import image_of
from serve.wire.forms.whole import item_failed
from serve.wire.refusing import check_count, check_fields
from serve.wire.wording import kind, whole_number

FIELDS = ("input", "messages", "model", "encoding_format", "dimensions", "modality", "user")
ENCODINGS = ("float", "base64")
MODALITIES = ("text", "image")
TOKENS = "holds tokens of another model's tokenizer: send texts"


@dataclass(frozen=True)
class EmbeddingList(Form):
    """A list of embedding objects, and the tokens that were used.

    dimensions: asked for; None is the model's. partial: whether a failed item is an embedding of
    null with its error beside it, rather than the end of the request.
    """

    dimensions: int | None
    partial: bool

    def check(self, parameters: Parameters, specs: Specs) -> None:
        """Refuse also other dimensions than the model's: CLIP's vectors cannot be shortened."""
        super().check(parameters, specs)
        (spec,) = specs.values()
        if self.dimensions not in {None, spec.dimension}:
            raise BadRequest(f"dimensions must be {spec.dimension}, the model's, or left out")

    def render(self, request: EmbedRequest, answer: Answer, specs: Specs) -> bytes:
        """Return the answer's object. Raises ItemFailed unless `partial`."""
        (name,) = specs
        encoding = request.parameters.encoding
        tokens = sum(one.tokens for one in answer.results if isinstance(one, Embedding))
        body = {
            "object": "list",
            "data": [self._one(*each, encoding) for each in enumerate(answer.results)],
            "model": name,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)

    def _one(self, index: int, result: Result, encoding: str) -> dict[str, Any]:
        body: dict[str, Any] = {"object": "embedding", "index": index}
        if not isinstance(result, Failure):
            return body | {"embedding": numbers(cast("Embedding", result), encoding)}
        failed = item_failed(index, result)
        if not self.partial:
            raise failed
        return body | {"embedding": None} | error_body(failed)


def error_body(error: HttpError) -> dict[str, Any]:
    """Return an error in OpenAI's form. For a failed item, code and param name it."""
    is_ours = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    body = error.body()["error"]
    code, param = body["code"], None
    if isinstance(error, ItemFailed):
        code, param = error.item_code, f"input[{error.index}]"
    return {
        "error": {
            "message": body["message"],
            "type": "server_error" if is_ours else "invalid_request_error",
            "param": param,
            "code": code,
        }
    }


def parse_embeddings(
    body: Mapping[str, Any], parameters: Parameters, max_items: int, *, partial: bool
) -> EmbedRequest:
    """Parse the request of `POST /v1/embeddings`.

    Raises:
        HttpError: `bad_request` names the field; `payload_too_large`.
    """
    check_fields(body, FIELDS)
    if ("input" in body) == ("messages" in body):
        raise BadRequest("give either input or messages")
    modality = _choice(body, "modality", MODALITIES) or "text"
    if "input" in body:
        items = _inputs(body["input"], modality, max_items)
    else:
        items = [_of_messages(body["messages"])]
    form = EmbeddingList(_dimensions(body.get("dimensions")), partial)
    return EmbedRequest(items, [None] * len(items), _parameters(body, parameters), form)


def _parameters(body: Mapping[str, Any], parameters: Parameters) -> Parameters:
    if encoding := _choice(body, "encoding_format", ENCODINGS):
        parameters = replace(parameters, encoding=encoding)
    model = body.get("model")
    if model is None:
        return parameters
    if not isinstance(model, str) or not model:
        raise BadRequest("model must be the name of a model")
    return replace(parameters, model=model)


def _choice(body: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str | None:
    value = body.get(name)
    if value is not None and value not in choices:
        raise BadRequest(f"{name} must be one of {', '.join(choices)}")
    return cast("str | None", value)


def _dimensions(value: Any) -> int | None:
    number = whole_number(value)
    if number is None and value is not None:
        raise BadRequest(f"dimensions must be a whole number, not {kind(value)}")
    return number


def _inputs(value: Any, modality: str, max_items: int) -> list[Item]:
    if not isinstance(value, list):
        return [_input("input", value, modality)]
    if not value:
        raise BadRequest("input is empty")
    check_count(len(value), max_items)
    return [_input(f"input[{index}]", one, modality) for index, one in enumerate(value)]


def _input(path: str, value: Any, modality: str) -> Item:
    if isinstance(value, str):
        return image_of(value) if modality == "image" else Text(value)
    if isinstance(value, dict) and len(value) == 1:
        ((name, content),) = value.items()
        if name in MODALITIES and isinstance(content, str):
            return _input(path, content, name)
    if isinstance(value, int | list) and not isinstance(value, bool):
        raise BadRequest(f"{path} {TOKENS}")
    raise BadRequest(f'{path} must be a text, {{"text": "..."}} or {{"image": "<URL or base64>"}}')


def _of_messages(messages: Any) -> Item:
    """Return the one image or text that vLLM's chat form holds."""
    match messages:
        case [{"content": str(text)}]:
            return Text(text)
        case [{"content": [{"type": "text", "text": str(text)}]}]:
            return Text(text)
        case [{"content": [{"type": "image_url", "image_url": {"url": str(url)}}]}]:
            return image_of(url)
        case _:
            raise BadRequest(
                "messages must be one message, its content a text or one part, text or image_url"
            )
