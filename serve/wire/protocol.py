"""The wire format of requests: bodies to items, by their content type. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from werkzeug.http import parse_options_header

from inference.types import ImageBytes, Text
from serve.errors import HttpError
from serve.wire.embed_request import Body, EmbedRequest, Parameters
from serve.wire.json_body import parse_json
from serve.wire.lines import parse_csv, parse_json_lines
from serve.wire.media_types import CSV, JSON, JSON_LINES, JSON_LINES_TYPES
from serve.wire.parameters import from_attributes

Parsers = Mapping[str, Callable[[Body, Parameters, int], EmbedRequest]]

UTF_8 = {"", "utf-8", "utf8", "us-ascii"}


def _parse_image(data: Body, parameters: Parameters, _: int) -> EmbedRequest:
    return EmbedRequest([ImageBytes(bytes(data))], [None], parameters)


def _parse_text(data: Body, parameters: Parameters, _: int) -> EmbedRequest:
    """Parse one query. Bytes that are not UTF-8 fail only the item, later."""
    text = data.decode("utf-8-sig", "surrogateescape")
    return EmbedRequest([Text(text)], [None], parameters)


PARSERS: Parsers = {
    JSON: parse_json,
    JSON_LINES: parse_json_lines,
    CSV: parse_csv,
    "text/plain": _parse_text,
    "image/*": _parse_image,
    # SageMaker's image algorithms and clients of Hugging Face's toolkit use these for any image.
    "application/x-image": _parse_image,
    "application/octet-stream": _parse_image,
    **dict.fromkeys(JSON_LINES_TYPES, parse_json_lines),
}


def parse(
    content_type: str, attributes: str, body: Body, max_items: int, parsers: Parsers = PARSERS
) -> EmbedRequest:
    """Read a request's body.

    Args:
        content_type: the header's value; empty is JSON.
        attributes: the custom attributes' header, `name=value;name=value`.
        body: as received.
        max_items: more are refused.
        parsers: by the media types that the route takes.

    Raises:
        HttpError: `bad_request` names the field; `payload_too_large`; `unsupported_media_type`.
    """
    media_type, options = parse_options_header(content_type)
    media_type = media_type.lower() or JSON
    known = "image/*" if media_type.startswith("image/") else media_type
    if known not in parsers:
        raise HttpError(
            "unsupported_media_type",
            f"Content-Type {media_type!r} is not one of {', '.join(parsers)}",
        )
    read = parsers[known]
    charset = options.get("charset", "").lower()
    if read is not _parse_image and charset not in UTF_8:
        raise HttpError("unsupported_media_type", f"charset {charset!r}: send UTF-8")
    return read(body, from_attributes(attributes), max_items)
