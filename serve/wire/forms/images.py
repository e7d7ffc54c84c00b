"""Images of forms that give a URL and base64 in the same place."""

from __future__ import annotations

from inference.types import ImageBase64, ImageUrl
from serve.wire.client_side import is_url


def image_of(value: str) -> ImageUrl | ImageBase64:
    """Return the item of an image: its URL (http, https, s3, data), or its bytes in base64."""
    return ImageUrl(value) if is_url(value) else ImageBase64(value)
