"""Values of JSON: what they are, and what error messages call them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def kind(value: Any) -> str:
    """Return the JSON name of a value's type."""
    names: Mapping[type, str] = {
        bool: "a boolean",
        dict: "an object",
        list: "a list",
        str: "a string",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def clip(text: str) -> str:
    """Quote a caller's text in ASCII, at most 60 characters."""
    return ascii(text)[:60]


def whole_number(value: Any) -> int | None:
    """Return a JSON value as a whole number, as 1000.0 is one; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if isinstance(value, int) or value.is_integer() else None
