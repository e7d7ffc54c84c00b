"""The whole description of a service."""

from __future__ import annotations

from typing import Any

from serve.settings import Settings
from serve.wire.embed_request import Specs
from serve.wire.openapi.answers import answers
from serve.wire.openapi.multi_model import multi_model
from serve.wire.openapi.openai import openai
from serve.wire.openapi.paths import multi_model_paths, paths
from serve.wire.openapi.requests import requests
from serve.wire.openapi.schema import COUNT, Schema, choice, closed, names


def document(version: str, settings: Settings, specs: Specs) -> dict[str, Any]:
    """Return the description, in OpenAPI 3.1.

    specs: of the loaded models. Requests may name them and, in OpenAI's API, their dimensions.
    """
    dimensions = {spec.dimension for spec in specs.values()}
    schemas = requests(settings.max_items) | answers() | openai(settings.max_items, dimensions)
    schemas["ModelName"] = names(specs)
    schemas["ExecutionParameters"] = _execution_parameters()
    routes = paths()
    if settings.multi_model:
        schemas |= multi_model()
        routes |= multi_model_paths()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sweetspot",
            "version": version,
            "description": "CLIP embeddings of images and texts: see docs/protocol.md",
        },
        "paths": routes,
        "components": {"schemas": schemas},
    }


def _execution_parameters() -> Schema:
    fields = {
        "MaxConcurrentTransforms": COUNT,
        "BatchStrategy": choice("MULTI_RECORD", "SINGLE_RECORD"),
        "MaxPayloadInMB": COUNT,
    }
    return closed(fields, [*fields])
