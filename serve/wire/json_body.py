"""JSON bodies to items."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from inference.types import ImageBase64, ImageUrl, Item, Text, is_unicode
from serve.errors import BadRequest
from serve.wire.embed_request import Body, EmbedRequest, Parameters
from serve.wire.forms import hugging_face, opensearch
from serve.wire.forms.labels import BLANK, with_labels
from serve.wire.parameters import from_body, model_of
from serve.wire.refusing import check_count, check_fields
from serve.wire.wording import clip, kind

ITEM_FORMS: dict[str, Callable[[str], Item]] = {"url": ImageUrl, "image": ImageBase64, "text": Text}
LIST_FORMS = {"urls": "url", "images": "image", "texts": "text"}
FORMS = ("inputs", *LIST_FORMS, *ITEM_FORMS)
# What a body may have beside its form.
BESIDE = ("model", "parameters", "labels", "template")


def parse_json(data: Body, parameters: Parameters, max_items: int) -> EmbedRequest:
    """Parse a body of our form, or of another toolkit's; its parameters override those given.

    Raises:
        BadRequest: names the field. HttpError: `payload_too_large`.
    """
    body = load(data, "the body")
    if isinstance(body, list):
        check_count(len(body), max_items)
        return opensearch.parse_texts(body, parameters)
    if not isinstance(body, dict):
        raise BadRequest(f"the body must be a JSON object, not {kind(body)}")
    if body.keys() & set(opensearch.INPUTS):
        return opensearch.parse_joint(body, parameters)
    if hugging_face.is_ranking(body):
        return hugging_face.parse_ranking(body, parameters, max_items)
    return parse_object(body, parameters, max_items)


def parse_object(body: dict[str, Any], parameters: Parameters, max_items: int) -> EmbedRequest:
    """Parse one of FORMS and what stands BESIDE it. Raises as `parse_json`."""
    check_fields(body, (*FORMS, *BESIDE))
    parameters = from_body(body.get("parameters", {}), parameters)
    if "model" in body:
        parameters = replace(parameters, model=model_of("model", body["model"]))
    forms = [form for form in FORMS if form in body]
    if len(forms) != 1:
        raise BadRequest(
            f"give exactly one of {', '.join(FORMS)}" + (f", not {forms}" if forms else "")
        )
    value = body[forms[0]]
    if isinstance(value, list):
        check_count(len(value), max_items)
    parsed = [item(path, one) for path, one in _inputs(forms[0], value)]
    request = EmbedRequest([one for one, _ in parsed], [its for _, its in parsed], parameters)
    if "labels" in body:
        return with_labels(request, body["labels"], body.get("template", BLANK))
    if "template" in body:
        raise BadRequest("template is for labels, which are missing")
    return request


def load_object(data: Body, path: str) -> dict[str, Any]:
    """Parse a JSON object. path: its name in error messages. Raises BadRequest."""
    value = load(data, path)
    if not isinstance(value, dict):
        raise BadRequest(f"{path} must be a JSON object, not {kind(value)}")
    return value


def load(data: Body, path: str) -> Any:
    """Parse JSON. path: its name in error messages. Raises BadRequest."""
    try:
        # Not orjson: a lone surrogate in one text must fail only that item, not the request.
        return json.loads(data, parse_constant=_refuse_constant)
    except RecursionError as exc:
        raise BadRequest(f"{path} is nested too deeply") from exc
    except ValueError as exc:
        raise BadRequest(f"{path} is not valid JSON: {str(exc)[:200]}") from exc


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _inputs(form: str, value: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the items of any form as (path of the field, item object)."""
    if form in ITEM_FORMS:
        return [("", {form: value})]
    if not isinstance(value, list):
        raise BadRequest(f"{form} must be a list, not {kind(value)}")
    if not value:
        raise BadRequest(f"{form} is empty")
    if form == "inputs":
        return [(f"inputs[{index}]", one) for index, one in enumerate(value)]
    key = LIST_FORMS[form]
    return [(f"{form}[{index}]", {key: one}) for index, one in enumerate(value)]


def item(path: str, value: Any) -> tuple[Item, str | None]:
    """Parse an item object and its id. Raises BadRequest, which names its `path` in the body."""
    if not isinstance(value, dict):
        raise BadRequest(f'{path} must be an object, as {{"text": ...}}, not {kind(value)}')
    unknown = sorted(value.keys() - ITEM_FORMS.keys() - {"id"})
    if unknown:
        known = ", ".join((*ITEM_FORMS, "id"))
        raise BadRequest(f"{path} has an unknown field {clip(unknown[0])}; known are {known}")
    keys = [key for key in ITEM_FORMS if key in value]
    if len(keys) != 1:
        raise BadRequest(f"{path} must have exactly one of url, image, text")
    for key in (*keys, "id"):
        if key in value and not isinstance(value[key], str):
            field = path if path.startswith(tuple(LIST_FORMS)) else f"{path}.{key}".lstrip(".")
            raise BadRequest(f"{field} must be a string, not {kind(value[key])}")
    item_id = value.get("id")
    if item_id is not None and not is_unicode(item_id):
        raise BadRequest(f"{path}.id is not valid Unicode")
    return ITEM_FORMS[keys[0]](value[keys[0]]), item_id
