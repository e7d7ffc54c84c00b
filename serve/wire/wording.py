"""Wording of error messages."""

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
