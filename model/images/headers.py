"""Checks of a file's header before Pillow parses it. Pure.

Pillow parses headers in Python and trusts them: 5 million strips of one pixel become 5 million
objects, and a compressed text is decompressed as often as it is repeated. Each rule here has a
file in `tests/hostile_images.py` of at most 20 MiB, the limit of an image. Without the rule it took
from 5 s to minutes, or from 0.5 to 5 GB.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from model.errors import TooManyPixels

# 20 MiB of metadata fill 320 segments. Pillow appends each Exif segment to those before it.
MAX_JPEG_SEGMENTS = 400
# Quantization tables and frames: under 1 KiB in ordinary files.
MAX_JPEG_TABLE_BYTES = 2**16
# Each is up to 1 MiB decompressed.
MAX_PNG_TEXTS = 200
# Strips or tiles; each becomes an object. 50 megapixels have about 200,000 tiles of minimum size.
MAX_TIFF_VALUES = 200_000
MAX_TIFF_TAGS = 4096
# libtiff keeps a whole tile in memory.
MAX_TIFF_TILE_PIXELS = 2**24

_MARKER = re.compile(rb"\xff([^\x00\xff])")
_FRAMES = {*range(0xC0, 0xD0), 0xDE} - {0xC4, 0xC8, 0xCC}
_SCAN, _DQT, _APP1 = 0xDA, 0xDB, 0xE1
# Markers without data: restarts, begin and end, unassigned markers.
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
    """Refuse an EXIF block that costs too much. Raises TooManyPixels."""
    _check_values(_EXIF.sub(b"", block))


def _check_values(data: bytes) -> None:
    """Check the first directory of a TIFF file or an EXIF block."""
    for number, entry in enumerate(_entries(data)):
        if number >= MAX_TIFF_TAGS:
            raise TooManyPixels(f"more than {MAX_TIFF_TAGS} tags")
        is_list = entry.kind not in _RAW or entry.tag in {_STRIP_OFFSETS, _TILE_OFFSETS}
        # Pillow skips lists that do not fit into the file.
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
    """An entry of a directory. number: its value if it is one whole number, else 0."""

    tag: int
    kind: int
    values: int
    number: int


def _entries(data: bytes) -> Iterator[_Entry]:
    """Yield the entries present in the first directory; as lenient as Pillow."""
    order = "<" if data[:2] == b"II" else ">"
    # Formats of the pointer to the directory, of its number of entries, of an entry's value.
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
    except struct.error:  # the directory ends early, or starts outside the file
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
    """Yield (marker, start, end) of each segment up to the first scan, as Pillow finds them."""
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
    """Yield the kind of each chunk."""
    at, kind = 8, b""
    while at + 8 <= len(data) and kind != b"IEND":
        length, kind = struct.unpack_from(">L4s", data, at)
        yield kind
        at += 12 + length
