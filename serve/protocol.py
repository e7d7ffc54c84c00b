"""The wire format: bodies to items, results to bodies. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import orjson
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header, parse_options_header

from inference.types import (
    Answer,
    Embedding,
    ImageBase64,
    ImageBytes,
    ImageUrl,
    Item,
    Lane,
    Result,
    Text,
    is_unicode,
)
from model.encoder import EncoderSpec
from serve.errors import BadRequest, HttpError

JSON = "application/json"
REQUEST_TYPES = (JSON, "image/*")
ANSWER_TYPES = (JSON,)
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
# The platform's limit for the header.
MAX_ATTRIBUTES_CHARS = 1024

ITEM_FORMS: dict[str, Callable[[str], Item]] = {"url": ImageUrl, "image": ImageBase64, "text": Text}
LIST_FORMS = {"urls": "url", "images": "image", "texts": "text"}
FORMS = ("inputs", *LIST_FORMS, *ITEM_FORMS)


@dataclass(frozen=True)
class Parameters:
    """How to answer. lane: `interactive`, `bulk`, or None for the service to tell."""

    encoding: str = "float"
    timings: bool = False
    deadline_ms: int | None = None
    lane: Lane | None = None
    stream: bool = False


@dataclass(frozen=True)
class EmbedRequest:
    """A parsed request: items, the caller's ids at the same index, parameters."""

    items: list[Item]
    ids: list[str | None]
    parameters: Parameters


def parse(content_type: str, attributes: str, body: bytes, max_items: int) -> EmbedRequest:
    """Read a request's body.

    Args:
        content_type: the header's value; empty is JSON.
        attributes: the custom attributes' header, `name=value;name=value`.
        body: as received.
        max_items: more are refused.

    Raises:
        HttpError: `bad_request` names the field; `payload_too_large`; `unsupported_media_type`.
    """
    media_type = parse_options_header(content_type)[0].lower() or JSON
    parameters = _from_attributes(attributes)
    if media_type.startswith("image/"):
        return EmbedRequest([ImageBytes(body)], [None], parameters)
    if media_type != JSON:
        raise HttpError(
            "unsupported_media_type",
            f"Content-Type {media_type!r} is not one of {', '.join(REQUEST_TYPES)}",
        )
    return _parse_json(_load_json(body), parameters, max_items)


def negotiate(accept: str) -> str:
    """The answer's media type for an Accept header; empty accepts all.

    Raises:
        HttpError: `not_acceptable`, with the list.
    """
    parsed = parse_accept_header(accept or "*/*", MIMEAccept)
    # A charset or the like does not make it another type.
    plain = MIMEAccept((name.partition(";")[0], quality) for name, quality in parsed)
    best = plain.best_match(ANSWER_TYPES)
    if best is None:
        raise HttpError("not_acceptable", f"Accept {accept!r} is none of {', '.join(ANSWER_TYPES)}")
    return best


def render(request: EmbedRequest, answer: Answer, spec: EncoderSpec) -> bytes:
    """The answer's JSON, one object of `results` per item, in order."""
    body: dict[str, Any] = {
        "model": spec.name,
        "dimension": spec.dimension,
        "precision": spec.precision,
        "fingerprint": spec.fingerprint,
        "results": [
            render_result(index, item_id, result, request.parameters.encoding)
            for index, (item_id, result) in enumerate(zip(request.ids, answer.results, strict=True))
        ],
    }
    if request.parameters.timings:
        body["timings"] = answer.times.as_ms()
    # orjson writes a float32 with the fewest digits that read back as the same float32.
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def render_attributes(answer: Answer, spec: EncoderSpec) -> str:
    """The answer's custom attributes: fingerprint, failures and stage times, ASCII."""
    failures = sum(not isinstance(result, Embedding) for result in answer.results)
    facts: dict[str, object] = {"fingerprint": spec.fingerprint, "failures": failures}
    facts |= {name.replace("_", "-"): value for name, value in answer.times.as_ms().items()}
    return ";".join(f"{name}={value}" for name, value in facts.items())[:MAX_ATTRIBUTES_CHARS]


def render_result(index: int, item_id: str | None, result: Result, encoding: str) -> dict[str, Any]:
    """One object of `results`; its embedding may be an array, for orjson."""
    body: dict[str, Any] = {"index": index}
    if item_id is not None:
        body["id"] = item_id
    if not isinstance(result, Embedding):
        body["error"] = {
            "code": result.code,
            "message": result.message,
            "retryable": result.retryable,
        }
        return body
    if encoding == "base64":
        body["embedding"] = base64.b64encode(result.vector.astype("<f4").tobytes()).decode()
    else:
        body["embedding"] = result.vector
    if result.truncated:
        body["truncated"] = True
    return body


def _load_json(body: bytes) -> dict[str, Any]:
    try:
        # Not orjson: a lone surrogate in one text is that item's failure, not the request's.
        value = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError as exc:
        raise BadRequest("the body is nested too deeply") from exc
    except ValueError as exc:
        raise BadRequest(f"the body is not valid JSON: {str(exc)[:200]}") from exc
    if not isinstance(value, dict):
        raise BadRequest(f"the body must be a JSON object, not {_kind(value)}")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _parse_json(body: dict[str, Any], parameters: Parameters, max_items: int) -> EmbedRequest:
    body = dict(body)
    parameters = _from_body(body.pop("parameters", {}), parameters)
    forms = [form for form in FORMS if form in body]
    unknown = sorted(body.keys() - set(FORMS))
    if unknown:
        raise BadRequest(f"unknown field {_clip(unknown[0])}")
    if len(forms) != 1:
        raise BadRequest(
            f"give exactly one of {', '.join(FORMS)}" + (f", not {forms}" if forms else "")
        )
    value = body[forms[0]]
    # Before anything is made of them: an item costs a hundred times its two bytes of JSON.
    if isinstance(value, list) and len(value) > max_items:
        raise HttpError("payload_too_large", f"{len(value)} items, the limit is {max_items}")
    parsed = [_item(path, one) for path, one in _inputs(forms[0], value)]
    return EmbedRequest([item for item, _ in parsed], [one for _, one in parsed], parameters)


def _inputs(form: str, value: Any) -> list[tuple[str, dict[str, Any]]]:
    """Every form as (path of the field, item object)."""
    if form in ITEM_FORMS:
        return [("", {form: value})]
    if not isinstance(value, list):
        raise BadRequest(f"{form} must be a list, not {_kind(value)}")
    if not value:
        raise BadRequest(f"{form} is empty")
    if form == "inputs":
        return [(f"inputs[{index}]", one) for index, one in enumerate(value)]
    key = LIST_FORMS[form]
    return [(f"{form}[{index}]", {key: one}) for index, one in enumerate(value)]


def _item(path: str, value: Any) -> tuple[Item, str | None]:
    if not isinstance(value, dict):
        raise BadRequest(f"{path} must be an object, not {_kind(value)}")
    unknown = sorted(value.keys() - ITEM_FORMS.keys() - {"id"})
    if unknown:
        raise BadRequest(f"{path} has an unknown field {_clip(unknown[0])}")
    keys = [key for key in ITEM_FORMS if key in value]
    if len(keys) != 1:
        raise BadRequest(f"{path} must have exactly one of url, image, text")
    for key in (*keys, "id"):
        if key in value and not isinstance(value[key], str):
            field = path if path.startswith(tuple(LIST_FORMS)) else f"{path}.{key}".lstrip(".")
            raise BadRequest(f"{field} must be a string, not {_kind(value[key])}")
    item_id = value.get("id")
    if item_id is not None and not is_unicode(item_id):
        raise BadRequest(f"{path}.id is not valid Unicode")
    return ITEM_FORMS[keys[0]](value[keys[0]]), item_id


def _from_body(value: Any, parameters: Parameters) -> Parameters:
    if not isinstance(value, dict):
        raise BadRequest(f"parameters must be an object, not {_kind(value)}")
    known = [one.name for one in fields(Parameters)]
    for name, one in value.items():
        if name not in known:
            raise BadRequest(f"parameters has an unknown field {_clip(name)}")
        parameters = replace(parameters, **{name: _parameter(f"parameters.{name}", name, one)})
    return parameters


def _from_attributes(header: str) -> Parameters:
    """Parameters from `name=value;name=value`, kebab-case; unknown names are ignored."""
    parameters = Parameters()
    known = [one.name for one in fields(Parameters)]
    for part in header.split(";"):
        key, _, text = part.partition("=")
        name = key.strip().replace("-", "_")
        if name in known:
            value = _typed(name, text.strip())
            path = f"custom attribute {key.strip()}"
            parameters = replace(parameters, **{name: _parameter(path, name, value)})
    return parameters


def _typed(name: str, text: str) -> Any:
    """An attribute's text as the type its parameter has in JSON, or as it is."""
    if name in {"timings", "stream"}:
        return {"true": True, "false": False}.get(text.lower(), text)
    if name == "deadline_ms" and text.isascii() and text.isdigit() and len(text) <= 15:
        return int(text)
    return text


def _parameter(path: str, name: str, value: Any) -> Any:
    """Check one parameter's type and range."""
    match name:
        case "encoding":
            return _one_of(path, value, ("float", "base64"))
        case "lane":
            return _one_of(path, value, ("interactive", "bulk"))
        case "deadline_ms":
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise BadRequest(f"{path} must be a whole number of milliseconds from 1")
            return value
        case _:
            if not isinstance(value, bool):
                raise BadRequest(f"{path} must be true or false, not {_kind(value)}")
            return value


def _one_of(path: str, value: Any, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise BadRequest(f"{path} must be one of {', '.join(choices)}")
    return value


def _kind(value: Any) -> str:
    """A value's type in the words of JSON."""
    names: Mapping[type, str] = {
        bool: "a boolean",
        dict: "an object",
        list: "a list",
        str: "a string",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def _clip(text: str) -> str:
    return ascii(text)[:60]
