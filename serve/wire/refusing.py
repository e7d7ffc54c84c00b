"""Refusals that parsers of several forms share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from serve.errors import BadRequest, HttpError
from serve.wire.wording import clip


def check_count(count: int, max_items: int) -> None:
    """Refuse too many items before they are parsed. Raises HttpError, `payload_too_large`.

    An item takes a hundred times the memory of its two bytes of JSON.
    """
    if count > max_items:
        raise HttpError("payload_too_large", f"{count} items, the limit is {max_items}")


def check_fields(body: Mapping[str, Any], known: Collection[str], beside: str = "") -> None:
    """Refuse a field that is not known. beside: which others are there. Raises BadRequest."""
    if unknown := sorted(body.keys() - set(known)):
        raise BadRequest(f"unknown field {clip(unknown[0])}{beside}; known are {', '.join(known)}")
