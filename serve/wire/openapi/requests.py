"""The JSON bodies that `/invocations` takes."""

from __future__ import annotations

from serve.wire.forms.labels import MAX_LABELS
from serve.wire.forms.opensearch import INPUTS
from serve.wire.json_body import FORMS, ITEM_FORMS, LIST_FORMS
from serve.wire.openapi.schema import (
    BOOLEAN,
    NAME,
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

TEMPLATE: Schema = {"type": "string", "pattern": r"\{\}", "description": "{} is the label"}
LABELS: Schema = array(NAME, most=MAX_LABELS, uniqueItems=True)
NO_TEXT: Schema = {"not": {"required": ["text"]}}
# Labels joined by commas.
JOINED: Schema = {"type": "string", "pattern": "[^ ,]"}


def requests(max_items: int) -> dict[str, Schema]:
    """Return the schemas by name. max_items: more are refused."""
    return {
        "Invocation": any_of(
            ref("EmbedRequest"), ref("Texts"), ref("TextAndImage"), ref("ZeroShotRequest")
        ),
        "Item": closed(
            dict.fromkeys((*ITEM_FORMS, "id"), STRING), **one_of_the_fields(*ITEM_FORMS)
        ),
        "Parameters": closed(_parameters()),
        "Models": any_of(ref("ModelName"), array(ref("ModelName"), uniqueItems=True)),
        "EmbedRequest": _embed_request(max_items),
        "Texts": array(STRING, most=max_items, description="OpenSearch's default form"),
        "TextAndImage": _text_and_image(),
        "ZeroShotRequest": _zero_shot(max_items),
    }


def _parameters() -> Schema:
    return {
        "encoding": choice("float", "base64"),
        "timings": BOOLEAN,
        "deadline_ms": {"type": "integer", "minimum": 1},
        "lane": choice("interactive", "bulk"),
        "stream": BOOLEAN,
    }


def _embed_request(max_items: int) -> Schema:
    forms = {
        "inputs": array(ref("Item"), most=max_items),
        **{name: array(STRING, most=max_items) for name in LIST_FORMS},
        **dict.fromkeys(ITEM_FORMS, STRING),
    }
    beside = {
        "model": ref("Models"),
        "parameters": ref("Parameters"),
        "labels": LABELS,
        "template": TEMPLATE,
    }
    return closed(
        forms | beside,
        **one_of_the_fields(*FORMS),
        dependentRequired={"template": ["labels"]},
        dependentSchemas={"labels": _scored()},
    )


def _scored() -> Schema:
    """Return what holds for a request with labels: images, one model, no stream."""
    return opened(
        {
            "inputs": {"items": NO_TEXT},
            "text": False,
            "texts": False,
            "model": ref("ModelName"),
            "parameters": {"properties": {"stream": {"const": False}}},
        }
    )


def _text_and_image() -> Schema:
    value = any_of(STRING, {"type": "null"})
    given = [{"required": [name], "properties": {name: STRING}} for name in INPUTS]
    return closed(dict.fromkeys(INPUTS, value), anyOf=given, description="OpenSearch's")


def _zero_shot(max_items: int) -> Schema:
    parameters = {name: one for name, one in _parameters().items() if name != "stream"}
    parameters |= {
        "stream": {"const": False},
        "candidate_labels": any_of(LABELS, JOINED),
        "hypothesis_template": TEMPLATE,
    }
    return closed(
        {
            "inputs": any_of(STRING, array(STRING, most=max_items)),
            "parameters": closed(parameters, ["candidate_labels"]),
        },
        ["inputs", "parameters"],
        description="Hugging Face's",
    )
