"""Read a request's parameters from the body's `parameters` and from custom attributes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from serve.errors import BadRequest
from serve.wire.embed_request import Parameters
from serve.wire.wording import clip, kind, whole_number


def from_body(value: Any, parameters: Parameters) -> Parameters:
    """Override `parameters` by those of a body. Raises BadRequest, which names the field."""
    if not isinstance(value, dict):
        raise BadRequest(f"parameters must be an object, not {kind(value)}")
    known = [one.name for one in fields(Parameters) if one.name != "model"]
    for name, one in value.items():
        if name not in known:
            raise BadRequest(
                f"parameters has an unknown field {clip(name)}; known are {', '.join(known)}"
            )
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


def attributes_of(header: str) -> Iterator[tuple[str, str]]:
    """Yield the names and values of custom attributes, `name=value;name=value`."""
    for part in header.split(";"):
        name, _, value = part.partition("=")
        yield name.strip(), value.strip()


def from_attributes(header: str) -> Parameters:
    """Read parameters from custom attributes, in kebab-case; unknown names are ignored."""
    parameters = Parameters()
    known = [one.name for one in fields(Parameters)]
    for key, text in attributes_of(header):
        name = key.replace("-", "_")
        if name in known:
            path = f"custom attribute {key}"
            value = _parameter(path, name, _typed(name, text))
            parameters = replace(parameters, **{name: value})
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
            number = whole_number(value)
            if number is None or number < 1:
                raise BadRequest(f"{path} must be a whole number of milliseconds from 1")
            return number
        case _:
            if not isinstance(value, bool):
                raise BadRequest(f"{path} must be true or false, not {kind(value)}")
            return value


def _one_of(path: str, value: Any, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise BadRequest(f"{path} must be one of {', '.join(choices)}")
    return value
