"""Read a request's parameters from the body's `parameters` and from custom attributes."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from serve.errors import BadRequest
from serve.wire.embed_request import Parameters
from serve.wire.wording import clip, kind


def from_body(value: Any, parameters: Parameters) -> Parameters:
    """Override `parameters` by those of a body. Raises BadRequest, which names the field."""
    if not isinstance(value, dict):
        raise BadRequest(f"parameters must be an object, not {kind(value)}")
    known = [one.name for one in fields(Parameters) if one.name != "model"]
    for name, one in value.items():
        if name not in known:
            raise BadRequest(f"parameters has an unknown field {clip(name)}")
        parameters = replace(parameters, **{name: _parameter(f"parameters.{name}", name, one)})
    return parameters


def model_of(path: str, value: Any) -> str | tuple[str, ...]:
    """Check the name of one model, or a list of names. Raises BadRequest."""
    if isinstance(value, str) and value:
        return value
    named = isinstance(value, list) and all(isinstance(one, str) and one for one in value)
    if not named or not value:
        raise BadRequest(f"{path} must be the name of a model, or a list of names")
    if len(set(value)) < len(value):
        raise BadRequest(f"{path} names a model twice")
    return tuple(value)


def from_attributes(header: str) -> Parameters:
    """Read parameters from `name=value;name=value`, kebab-case; unknown names are ignored."""
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
    """Convert an attribute's text to its parameter's JSON type, or return it unchanged."""
    if name == "model" and "," in text:
        return [one.strip() for one in text.split(",")]
    if name in {"timings", "stream"}:
        return {"true": True, "false": False}.get(text.lower(), text)
    if name == "deadline_ms" and text.isascii() and text.isdigit() and len(text) <= 15:
        return int(text)
    return text


def _parameter(path: str, name: str, value: Any) -> Any:
    """Check one parameter's type and range."""
    match name:
        case "model":
            return model_of(path, value)
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
                raise BadRequest(f"{path} must be true or false, not {kind(value)}")
            return value


def _one_of(path: str, value: Any, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise BadRequest(f"{path} must be one of {', '.join(choices)}")
    return value
