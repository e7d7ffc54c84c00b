"""Images that travel inside the request: base64 text and data URLs."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_to_bytes

from inference.errors import FetchBlocked, FetchTooLarge
from inference.urls import EDGES
from model.errors import CorruptImage


def is_data_url(url: str) -> bool:
    """Whether the image is in the URL itself. White space before it does not count."""
    return url.lstrip(EDGES)[:5].lower() == "data:"


def decode_base64(text: str, max_bytes: int) -> bytes:
    """Decode standard base64; line breaks and blanks are ignored.

    Raises:
        CorruptImage: not base64. FetchTooLarge: more than `max_bytes` once decoded.
    """
    # Before anything of its size is made; line breaks add some 3 %.
    if len(text) > 2 * max_bytes + 4:
        raise FetchTooLarge(f"more than {max_bytes:,} bytes")
    try:
        return check_size(base64.b64decode("".join(text.split()), validate=True), max_bytes)
    except (binascii.Error, ValueError) as exc:
        raise CorruptImage("not valid base64") from exc


def decode_data_url(url: str, max_bytes: int) -> bytes:
    """Decode `data:[type][;base64],payload` (RFC 2397), white space at both ends taken off.

    Raises:
        FetchBlocked: no comma. CorruptImage, FetchTooLarge: as `decode_base64`.
    """
    header, comma, payload = url.strip(EDGES)[len("data:") :].partition(",")
    if not comma:
        raise FetchBlocked("the data URL has no comma")
    try:
        data = unquote_to_bytes(payload)
    except UnicodeEncodeError as exc:
        raise FetchBlocked("the data URL is not valid Unicode") from exc
    if header.lower().endswith(";base64"):
        return decode_base64(data.decode("latin-1"), max_bytes)
    return check_size(data, max_bytes)


def check_size(data: bytes, max_bytes: int) -> bytes:
    """The same bytes. Raises FetchTooLarge when they are more than `max_bytes`."""
    if len(data) > max_bytes:
        raise FetchTooLarge(f"more than {max_bytes:,} bytes")
    return data
