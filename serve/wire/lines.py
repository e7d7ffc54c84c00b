"""Bodies of one item per line: JSON Lines and CSV.

Each line has one result, so that a batch transform can join inputs and outputs. A blank or
malformed line therefore fails only its item, never the request.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator

from inference.types import ImageUrl, Item, Unreadable
from serve.errors import BadRequest, HttpError
from serve.wire.embed_request import Body, EmbedRequest, Parameters
from serve.wire.json_body import item, load_object

# A CSV field may be a data URL; the csv module's own limit is 128 KiB.
MAX_FIELD_CHARS = 2**31 - 1

Line = tuple[Item, str | None]


def parse_json_lines(data: Body, parameters: Parameters, max_items: int) -> EmbedRequest:
    """Parse an item object per line; the last line may lack its newline.

    Raises:
        BadRequest: no line at all. HttpError: `payload_too_large`.
    """
    count = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    _check_count(count, max_items)
    return _request(map(_json_line, _lines(data)), parameters)


def parse_csv(data: Body, parameters: Parameters, max_items: int) -> EmbedRequest:
    """Parse `url` or `url,id` per line, without a header, quoted as in RFC 4180.

    Raises:
        BadRequest: no line at all, or a field too long. HttpError: `payload_too_large`.
    """
    csv.field_size_limit(MAX_FIELD_CHARS)
    # Bytes that are not UTF-8 fail only their item, later.
    text = (line.decode("utf-8", "surrogateescape") for line in _lines(data))
    rows: list[Line] = []
    try:
        for row in csv.reader(text):
            _check_count(len(rows) + 1, max_items)
            rows.append(_csv_row(row))
    except csv.Error as exc:
        raise BadRequest(f"line {len(rows) + 1} is not CSV: {exc}") from exc
    return _request(rows, parameters)


def _lines(data: Body) -> Iterator[bytes]:
    """Yield each line with its newline, one at a time, so that a large body is not copied."""
    start = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield bytes(data[start:end])
        start = end


def _json_line(line: bytes) -> Line:
    if not line.strip():
        return Unreadable("the line is empty"), None
    try:
        return item("the line", load_object(line, "the line"))
    except BadRequest as exc:
        return Unreadable(str(exc)), None


def _csv_row(row: list[str]) -> Line:
    if not "".join(row).strip():
        return Unreadable("the line is empty"), None
    match row:
        case [url]:
            return ImageUrl(url), None
        case [url, item_id] if item_id.isprintable():
            return ImageUrl(url), item_id
        case _:
            return Unreadable("the line is not url or url,id"), None


def _check_count(count: int, max_items: int) -> None:
    if count > max_items:
        raise HttpError("payload_too_large", f"more than {max_items} lines")


def _request(lines: Iterable[Line], parameters: Parameters) -> EmbedRequest:
    items: list[Item] = []
    ids: list[str | None] = []
    for one, item_id in lines:
        items.append(one)
        ids.append(item_id)
    if not items:
        raise BadRequest("the body is empty")
    return EmbedRequest(items, ids, parameters)
