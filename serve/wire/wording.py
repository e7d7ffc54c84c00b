"""Words of refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def kind(value: Any) -> str:
    """A value's type in the words of JSON."""
    names: Mapping[type, str] = {
        bool: "a boolean",
        dict: "an object",
        list: "a list",
        str: "a string",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def clip(text: str) -> str:
    """A caller's own word, ASCII and short."""
    return ascii(text)[:60]
