"""JSON bodies to items."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from inference.types import ImageBase64, ImageUrl, Item, Text, is_unicode
from serve.errors import BadRequest, HttpError
from serve.wire.embed_request import Body, EmbedRequest, Parameters
from serve.wire.parameters import from_body, model_of
from serve.wire.wording import clip, kind

ITEM_FORMS: dict[str, Callable[[str], Item]] = {"url": ImageUrl, "image": ImageBase64, "text": Text}
LIST_FORMS = {"urls": "url", "images": "image", "texts": "text"}
FORMS = ("inputs", *LIST_FORMS, *ITEM_FORMS)


def parse_json(data: Body, parameters: Parameters, max_items: int) -> EmbedRequest:
    """Parse an object of one of FORMS, `model` and `parameters`; the body's override those given.

    Raises:
        BadRequest: names the field. HttpError: `payload_too_large`.
    """
    body = load_object(data, "the body")
    parameters = from_body(body.pop("parameters", {}), parameters)
    if "model" in body:
        parameters = replace(parameters, model=model_of("model", body.pop("model")))
    forms = [form for form in FORMS if form in body]
    unknown = sorted(body.keys() - set(FORMS))
    if unknown:
        raise BadRequest(f"unknown field {clip(unknown[0])}")
    if len(forms) != 1:
        raise BadRequest(
            f"give exactly one of {', '.join(FORMS)}" + (f", not {forms}" if forms else "")
        )
    value = body[forms[0]]
    # Check before parsing: an item takes a hundred times the memory of its two bytes of JSON.
    if isinstance(value, list) and len(value) > max_items:
        raise HttpError("payload_too_large", f"{len(value)} items, the limit is {max_items}")
    parsed = [item(path, one) for path, one in _inputs(forms[0], value)]
    return EmbedRequest([one for one, _ in parsed], [item_id for _, item_id in parsed], parameters)


def load_object(data: Body, path: str) -> dict[str, Any]:
    """Parse a JSON object. path: its name in error messages. Raises BadRequest."""
    try:
        # Not orjson: a lone surrogate in one text must fail only that item, not the request.
        value = json.loads(data, parse_constant=_refuse_constant)
    except RecursionError as exc:
        raise BadRequest(f"{path} is nested too deeply") from exc
    except ValueError as exc:
        raise BadRequest(f"{path} is not valid JSON: {str(exc)[:200]}") from exc
    if not isinstance(value, dict):
        raise BadRequest(f"{path} must be a JSON object, not {kind(value)}")
    return value


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
        raise BadRequest(f"{path} must be an object, not {kind(value)}")
    unknown = sorted(value.keys() - ITEM_FORMS.keys() - {"id"})
    if unknown:
        raise BadRequest(f"{path} has an unknown field {clip(unknown[0])}")
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
