"""Where a file's parts and numbers are, by its format; of a damaged file those that are found."""

import re
import struct
import zlib
from typing import NamedTuple

MAX_PARTS = 400
JPEG_SEGMENT = re.compile(rb"\xff([\x01-\xfe])")
# Where the coded data of a scan ends: a marker that is no restart and no escaped 0xFF.
JPEG_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
BOXES_OF_BOXES = {b"meta": 12, b"iprp": 8, b"ipco": 8, b"moov": 8, b"trak": 8, b"mdia": 8,
                  b"minf": 8, b"stbl": 8, b"dinf": 8, b"iinf": 14, b"iref": 12, b"stsd": 16,
                  b"av01": 86, b"edts": 8}  # fmt: skip


class Field(NamedTuple):
    """A number: where, of how many bytes, `little` or `big`."""

    at: int
    size: int
    order: str


class Layout(NamedTuple):
    """parts: (start, end) of what can be dropped, repeated or moved. fields: what can lie."""

    parts: list[tuple[int, int]]
    fields: list[Field]


def layout(image_format, data):
    """The layout of a file of that format."""
    parts, fields = [], []
    READERS[image_format](data, parts, fields)
    inside = [field for field in fields if 0 <= field.at <= len(data) - field.size]
    return Layout([part for part in parts if part[0] < part[1] <= len(data)][:MAX_PARTS], inside)


def words(start, end, order, sizes=(1, 2, 4)):
    """Every aligned number of a short stretch, of each size."""
    return [Field(at, size, order) for size in sizes for at in range(start, end - size + 1, size)]


def read_jpeg(data, parts, fields):
    at = 2
    while (match := JPEG_SEGMENT.search(data, at)) and len(parts) < MAX_PARTS:
        start, marker = match.start(), match[1][0]
        at = start + 2
        if 0xD0 <= marker <= 0xD9:
            continue
        fields.append(Field(at, 2, "big"))
        end = at = at + int.from_bytes(data[at : at + 2])
        if marker == 0xDA:
            fields += words(start + 4, end, "big", (1,))
            after = JPEG_AFTER_SCAN.search(data, at)
            end = at = after.start() if after else len(data)
        elif 0xC0 <= marker <= 0xCF and marker != 0xC4:
            fields += [Field(start + 5, 2, "big"), Field(start + 7, 2, "big")]
            fields += words(start + 4, end, "big", (1,))
        elif marker in {0xDB, 0xC4, 0xDD, 0xEE, 0xE0}:
            fields += words(start + 4, min(end, start + 21), "big", (1, 2))
        elif data[start + 4 : start + 10] == b"Exif\0\0":
            read_tiff(data[start + 10 : end], [], fields, start + 10)
        elif data[start + 4 : start + 8] == b"MPF\0":
            read_tiff(data[start + 8 : end], [], fields, start + 8)
        parts.append((start, end))


def read_png(data, parts, fields):
    at = 8
    while at + 8 <= len(data) and len(parts) < MAX_PARTS:
        length, kind = struct.unpack_from(">L4s", data, at)
        start, at = at, at + 12 + length
        fields.append(Field(start, 4, "big"))
        if kind == b"IHDR":
            fields += [Field(start + 8, 4, "big"), Field(start + 12, 4, "big")]
            fields += words(start + 16, start + 21, "big", (1,))
        elif kind == b"eXIf":
            read_tiff(data[start + 8 : at - 4], [], fields, start + 8)
        elif length <= 40:
            fields += words(start + 8, at - 4, "big")
        parts.append((start, at))


def read_webp(data, parts, fields):
    fields.append(Field(4, 4, "little"))
    riff_chunks(data, 12, len(data), parts, fields)


def riff_chunks(data, at, limit, parts, fields):
    while at + 8 <= limit and len(parts) < MAX_PARTS:
        kind, length = struct.unpack_from("<4sL", data, at)
        start, at = at, at + 8 + length + length % 2
        fields.append(Field(start + 4, 4, "little"))
        parts.append((start, at))
        if kind == b"VP8X":
            fields += [*words(start + 8, start + 12, "little", (1,)),
                       Field(start + 12, 3, "little"), Field(start + 15, 3, "little")]  # fmt: skip
        elif kind == b"ANMF":
            fields += [Field(start + 8 + 3 * number, 3, "little") for number in range(5)]
            fields.append(Field(start + 23, 1, "little"))
            riff_chunks(data, start + 24, min(at, limit), parts, fields)
        elif kind in {b"VP8 ", b"VP8L", b"ANIM", b"ALPH"}:
            fields += words(start + 8, start + 26, "little", (1, 2))
        elif kind == b"EXIF":
            read_tiff(data[start + 8 : at], [], fields, start + 8)


def read_gif(data, parts, fields):
    fields += [*words(6, 10, "little", (2,)), Field(10, 1, "little"), Field(11, 1, "little")]
    if len(data) < 13:
        return
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    parts.append((13, at))
    while at + 10 < len(data) and len(parts) < MAX_PARTS:
        start = at
        if data[at] == ord(","):
            fields += [*words(at + 1, at + 9, "little", (2,)), Field(at + 9, 1, "little")]
            at += 10 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 0x80 else 0)
            fields.append(Field(at, 1, "little"))
        at = gif_blocks(data, at + (1 if data[start] == ord(",") else 2), fields)
        parts.append((start, at))


def gif_blocks(data, at, fields):
    """Skip blocks of up to 255 bytes; each begins with its length."""
    while at < len(data) and data[at]:
        fields.append(Field(at, 1, "little"))
        if data[at] <= 4:
            fields += words(at + 1, at + 1 + data[at], "little", (1,))
        at += 1 + data[at]
    return at + 1


def read_bmp(data, parts, fields):
    fields += words(2, min(len(data), 70), "little", (2, 4))
    if len(data) >= 18:
        start, header = struct.unpack_from("<LL", data, 10)
        parts += [(14, 14 + header), (14 + header, start), (start, len(data))]


def read_tiff(data, parts, fields, base=0):
    """base: where the data stand in the file."""
    order = {b"II": "little", b"MM": "big"}.get(data[:2])
    if order is None or len(data) < 16:
        return
    is_big = data[2:3] == b"\x2b"
    pointer, step = (8, 20) if is_big else (4, 12)
    at = int.from_bytes(data[pointer : 2 * pointer], order)
    fields.append(Field(base + pointer, pointer, order))
    for _ in range(3):
        size = 8 if is_big else 2
        count = int.from_bytes(data[at : at + size], order)
        fields.append(Field(base + at, size, order))
        at += size
        for _ in range(min(count, 60)):
            tiff_entry(data, at, order, pointer, parts, fields, base)
            at += step
        fields.append(Field(base + at, pointer, order))
        at = int.from_bytes(data[at : at + pointer], order)
        if not 0 < at < len(data):
            return


def tiff_entry(data, at, order, pointer, parts, fields, base):
    size = 4 + 2 * pointer
    fields += [Field(base + at, 2, order), Field(base + at + 2, 2, order),
               Field(base + at + 4, pointer, order), Field(base + at + 4 + pointer, 2, order),
               Field(base + at + 4 + pointer, pointer, order)]  # fmt: skip
    parts.append((base + at, base + at + size))
    kind = int.from_bytes(data[at + 2 : at + 4], order)
    count = int.from_bytes(data[at + 4 : at + 4 + pointer], order)
    unit = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 13: 4, 16: 8}.get(kind, 0)
    if pointer < unit * count <= len(data):
        start = int.from_bytes(data[at + 4 + pointer : at + size], order)
        parts.append((base + start, base + start + unit * count))
        end = min(start + unit * count, start + 8 * unit)
        fields += words(base + start, base + end, order, (min(unit, 4),))


def read_avif(data, parts, fields):
    boxes(data, 0, len(data), parts, fields)


def boxes(data, at, limit, parts, fields):
    while at + 8 <= limit and len(parts) < MAX_PARTS:
        length, kind = struct.unpack_from(">L4s", data, at)
        start, at = at, at + max(length, 8)
        fields.append(Field(start, 4, "big"))
        parts.append((start, at))
        if kind in BOXES_OF_BOXES:
            boxes(data, start + BOXES_OF_BOXES[kind], min(at, limit), parts, fields)
        elif kind == b"mdat":
            fields += words(start + 8, start + 40, "big", (1,))
        elif length <= 120:
            fields += words(start + 8, at, "big")


READERS = {"jpeg": read_jpeg, "png": read_png, "webp": read_webp, "gif": read_gif,
           "bmp": read_bmp, "tiff": read_tiff, "avif": read_avif}  # fmt: skip


def mend(image_format, data):
    """Checksums and lengths as a decoder wants them, so that it reads on."""
    whole = bytearray(data)
    if image_format == "png":
        parts = []
        read_png(data, parts, [])
        for start, end in parts:
            if end <= len(data):
                whole[end - 4 : end] = struct.pack(">L", zlib.crc32(data[start + 4 : end - 4]))
    elif image_format == "webp" and len(data) > 8:
        whole[4:8] = struct.pack("<L", len(data) - 8)
    return bytes(whole)
