"""What Pillow would do for a file's header alone, told before it does it. Pure.

Pillow walks a header in Python and believes it: 5 million strips of one pixel are 5 million
objects, a part of a text that repeats is decompressed as often as it stands there. Each rule here
has a file in `tests/hostile.py` that took from 5 s to minutes or from 0.5 to 5 GB without it,
within the 20 MiB that an image may have.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from model.errors import TooManyPixels

# 20 MiB of metadata are 320 full segments; each Exif one is appended to those before it.
MAX_JPEG_SEGMENTS = 400
# Quantization tables, frames: under 1 KiB in honest files.
MAX_JPEG_TABLE_BYTES = 2**16
# Each is up to 1 MiB decompressed.
MAX_PNG_TEXTS = 200
# Strips or tiles, each an object. 50 megapixels are some 200,000 tiles of the smallest size.
MAX_TIFF_VALUES = 200_000
MAX_TIFF_TAGS = 4096
# libtiff holds one whole.
MAX_TIFF_TILE_PIXELS = 2**24

_MARKER = re.compile(rb"\xff([^\x00\xff])")
_FRAMES = {*range(0xC0, 0xD0), 0xDE} - {0xC4, 0xC8, 0xCC}
_SCAN, _DQT, _APP1 = 0xDA, 0xDB, 0xE1
# Markers that nothing follows: restarts, begin and end, those without a meaning.
_BARE = {0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)}
_EXIF = re.compile(rb"^(Exif\0\0){1,2}")
_TEXTS = {b"iCCP", b"zTXt", b"iTXt"}
_BYTE, _ASCII, _SHORT, _LONG, _UNDEFINED = 1, 2, 3, 4, 7
_RAW = {_BYTE, _ASCII, _UNDEFINED}
_STRIP_OFFSETS, _TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS = 273, 322, 323, 324


def check_header(data: bytes) -> None:
    """Refuse a file whose header costs too much. Raises TooManyPixels."""
    if data.startswith(b"\xff\xd8\xff"):
        _check_jpeg(data)
    elif data.startswith(b"\x89PNG"):
        _check_png(data)
    elif data[:2] in {b"II", b"MM"}:
        _check_values(data)
        _check_tile(data)


def check_exif(block: bytes) -> None:
    """Refuse an EXIF block, as it stands in other files. Raises TooManyPixels."""
    _check_values(_EXIF.sub(b"", block))


def _check_values(data: bytes) -> None:
    """Of a TIFF file or an EXIF block, the first directory."""
    for number, entry in enumerate(_entries(data)):
        if number >= MAX_TIFF_TAGS:
            raise TooManyPixels(f"more than {MAX_TIFF_TAGS} tags")
        is_list = entry.kind not in _RAW or entry.tag in {_STRIP_OFFSETS, _TILE_OFFSETS}
        # Pillow skips those that do not fit into the file.
        if is_list and MAX_TIFF_VALUES < entry.values <= len(data):
            raise TooManyPixels(
                f"{entry.values} values in tag {entry.tag}, the limit is {MAX_TIFF_VALUES:,}"
            )


def _check_tile(data: bytes) -> None:
    sides = [one.number for one in _entries(data) if one.tag in {_TILE_WIDTH, _TILE_LENGTH}]
    if 0 in sides:
        raise TooManyPixels("a tile of unknown size")
    if math.prod(sides) > MAX_TIFF_TILE_PIXELS:
        raise TooManyPixels(
            f"a tile of {math.prod(sides)} pixels, the limit is {MAX_TIFF_TILE_PIXELS:,}"
        )


class _Entry(NamedTuple):
    """Of a directory. number: where it is one whole number, else 0."""

    tag: int
    kind: int
    values: int
    number: int


def _entries(data: bytes) -> Iterator[_Entry]:
    """Of the first directory, those that are there; as lenient as Pillow."""
    order = "<" if data[:2] == b"II" else ">"
    # Sizes of the pointer to it, of the number of its entries, of the rest of an entry.
    at, pointer, number, value = (
        (8, "Q", "Q", "8s") if data[2:3] == b"\x2b" else (4, "L", "H", "4s")
    )
    entry = struct.Struct(f"{order}HH{pointer}{value}")
    try:
        (start,) = struct.unpack_from(order + pointer, data, at)
        (count,) = struct.unpack_from(order + number, data, start)
        start += struct.calcsize(order + number)
        for _ in range(count):
            tag, kind, values, inline = entry.unpack_from(data, start)
            yield _Entry(tag, kind, values, _number(order, kind, values, inline))
            start += entry.size
    except struct.error:  # it ends early, or does not begin in this file
        return


def _number(order: str, kind: int, count: int, inline: bytes) -> int:
    codes = {_SHORT: "H", _LONG: "L"}
    if count != 1 or kind not in codes:
        return 0
    (number,) = struct.unpack_from(order + codes[kind], inline)
    return int(number)


def _check_jpeg(data: bytes) -> None:
    table_bytes, exif = 0, []
    for number, (marker, start, end) in enumerate(_segments(data)):
        if number >= MAX_JPEG_SEGMENTS:
            raise TooManyPixels(f"more than {MAX_JPEG_SEGMENTS} segments of a JPEG")
        if marker in _FRAMES or marker == _DQT:
            table_bytes += end - start
        elif marker == _APP1 and data.startswith(b"Exif\0\0", start):
            exif.append(data[start + 6 : end])
    if table_bytes > MAX_JPEG_TABLE_BYTES:
        raise TooManyPixels(
            f"{table_bytes} bytes of tables of a JPEG, the limit is {MAX_JPEG_TABLE_BYTES:,}"
        )
    check_exif(b"".join(exif))


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each up to the first scan, found as Pillow finds them."""
    end = 2
    while match := _MARKER.search(data, end):
        marker, start, end = match[1][0], match.end() + 2, match.end()
        if marker not in _BARE:
            end = max(start, end + int.from_bytes(data[end:start]))
        yield marker, start, end
        if marker == _SCAN:
            return


def _check_png(data: bytes) -> None:
    texts = sum(kind in _TEXTS for kind in _chunks(data))
    if texts > MAX_PNG_TEXTS:
        raise TooManyPixels(f"{texts} compressed texts of a PNG, the limit is {MAX_PNG_TEXTS}")


def _chunks(data: bytes) -> Iterator[bytes]:
    """The kind of each."""
    at, kind = 8, b""
    while at + 8 <= len(data) and kind != b"IEND":
        length, kind = struct.unpack_from(">L4s", data, at)
        yield kind
        at += 12 + length
