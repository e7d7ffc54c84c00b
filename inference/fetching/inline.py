"""Images inside the request: base64 text and data URLs."""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar
from urllib.parse import unquote_to_bytes

from inference.errors import FetchBlocked, FetchTooLarge
from inference.fetching.urls import EDGES
from model.errors import CorruptImage

PIECE_CHARS = 16 * 1024

Data = TypeVar("Data", bytes, bytearray)


def is_data_url(url: str) -> bool:
    """Return whether a URL holds the image itself. Leading white space is ignored."""
    return url.lstrip(EDGES)[:5].lower() == "data:"


def most_chars(max_bytes: int) -> int:
    """Return a limit of base64 for `max_bytes`: a third more, and line breaks add some 3 %."""
    return 2 * max_bytes + 4


def decode_base64(text: str, max_bytes: int) -> bytes:
    """Decode standard base64; line breaks and blanks are ignored.

    Raises:
        CorruptImage: not base64. FetchTooLarge: more than `max_bytes` once decoded.
    """
    # Checked before anything of this size is allocated.
    if len(text) > most_chars(max_bytes):
        raise FetchTooLarge(f"more than {max_bytes:,} bytes")
    try:
        return check_size(base64.b64decode("".join(text.split()), validate=True), max_bytes)
    except (binascii.Error, ValueError) as exc:
        raise CorruptImage("not valid base64") from exc


def decode_data_url(url: str, max_bytes: int) -> bytes:
    """Decode `data:[type][;base64],payload` (RFC 2397), stripped of white space at both ends.

    Raises:
        FetchBlocked: no comma. CorruptImage, FetchTooLarge: as `decode_base64`.
    """
    header, comma, payload = url.strip(EDGES)[len("data:") :].partition(",")
    if not comma:
        raise FetchBlocked("the data URL has no comma")
    is_base64 = header.lower().endswith(";base64")
    try:
        data = _unquoted(payload, most_chars(max_bytes) if is_base64 else max_bytes)
    except UnicodeEncodeError as exc:
        raise FetchBlocked("the data URL is not valid Unicode") from exc
    if is_base64:
        return decode_base64(data.decode("latin-1"), max_bytes)
    return bytes(data)


def _unquoted(payload: str, max_bytes: int) -> bytearray:
    """Percent-decode in pieces: unquote_to_bytes needs 220 bytes of memory per escape.

    Raises:
        FetchTooLarge: more than `max_bytes`, before all of it is decoded.
    """
    data, start = bytearray(), 0
    while start < len(payload):
        end = start + PIECE_CHARS
        # Do not cut an escape.
        escape = payload.rfind("%", end - 2, end)
        end = end if escape < 0 else escape
        data += unquote_to_bytes(payload[start:end])
        check_size(data, max_bytes)
        start = end
    return data


def check_size(data: Data, max_bytes: int) -> Data:
    """Return the data. Raises FetchTooLarge if there are more than `max_bytes`."""
    if len(data) > max_bytes:
        raise FetchTooLarge(f"more than {max_bytes:,} bytes")
    return data
