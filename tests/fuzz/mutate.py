"""Damaged images by number: the same number gives the same bytes."""

import random
import struct
import zlib
from functools import cache
from typing import NamedTuple

from model.images.preprocess import DEFAULT_MAX_PIXELS
from tests.fuzz.layout import layout, mend
from tests.fuzz.seeds import seeds

MAX_BYTES = 2**18
# Headers that announce more are refused, which keeps most of a run fast.
FEW_PIXELS = 2_000_000
BYTES = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 129, 192, 254, 255]


class Case(NamedTuple):
    """name: which seed, or which hostile file. size: S in px."""

    name: str
    data: bytes
    size: int = 32
    max_pixels: int = DEFAULT_MAX_PIXELS

    @property
    def format(self):
        return self.name.partition(".")[0]


@cache
def _seeds():
    """All of them, and by format."""
    everything, by_format = seeds(), {}
    for seed in everything:
        by_format.setdefault(seed.format, []).append(seed)
    return by_format


def mutated(seed, number):
    """The mutation of that number in a run of that seed."""
    dice = random.Random(f"{seed}:{number}")
    image_format = dice.choice(list(_seeds()))
    start = dice.choice(_seeds()[image_format])
    data = start.data
    for _ in range(dice.choice([1, 1, 1, 2, 2, 3, 5])):
        operation = dice.choices(list(OPERATIONS), OPERATIONS.values())[0]
        data = operation(dice, image_format, data)[:MAX_BYTES]
        if dice.random() < 0.75:
            data = mend(image_format, data)
    return Case(
        start.name,
        data,
        size=dice.choice([32] * 14 + [7, 224]),
        max_pixels=dice.choice([FEW_PIXELS] * 15 + [DEFAULT_MAX_PIXELS]),
    )


def flip_bits(dice, image_format, data):
    changed = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 4, 16]) if data else 0):
        changed[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def set_bytes(dice, image_format, data):
    changed = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 4]) if data else 0):
        changed[dice.randrange(len(data))] = dice.choice(BYTES)
    return bytes(changed)


def set_field(dice, image_format, data):
    """A length, a size, an offset, a count, a kind: nothing, most, negative, beside the truth."""
    fields = layout(image_format, data).fields
    changed = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 3]) if fields else 0):
        at, size, order = dice.choice(fields)
        old, most = int.from_bytes(data[at : at + size], order), 256**size
        new = dice.choice([
            0, 1, 2, 3, most - 1, most - 2, most // 2, most // 2 - 1, old + 1, old - 1, old * 2,
            old // 2, -old, old + 256, len(data), len(data) - at, 1000, 1414, 65535, 65536,
            dice.randrange(most), dice.randrange(64),
        ])  # fmt: skip
        changed[at : at + size] = (new % most).to_bytes(size, order)
    return bytes(changed)


def drop_part(dice, image_format, data):
    start, end = _part(dice, image_format, data)
    return data[:start] + data[end:]


def repeat_part(dice, image_format, data):
    start, end = _part(dice, image_format, data)
    return data[:end] + data[start:end] * dice.choice([1, 1, 2, 10, 300]) + data[end:]


def swap_parts(dice, image_format, data):
    one, other = sorted([_part(dice, image_format, data), _part(dice, image_format, data)])
    if one[1] > other[0]:
        return data
    first, second = data[slice(*one)], data[slice(*other)]
    return data[: one[0]] + second + data[one[1] : other[0]] + first + data[other[1] :]


def blank_part(dice, image_format, data):
    """A box of a kind that is passed over; elsewhere zeros."""
    start, end = _part(dice, image_format, data)
    if image_format == "avif":
        return data[: start + 4] + b"free" + data[start + 8 :]
    return data[:start] + bytes(end - start) + data[end:]


def splice_part(dice, image_format, data):
    """A part of another file of the format, in the place of one or before it."""
    other = dice.choice(_seeds()[image_format]).data
    start, end = _part(dice, image_format, data)
    taken = other[slice(*_part(dice, image_format, other))]
    return data[:start] + taken + data[dice.choice([start, end]) :]


def splice_tail(dice, image_format, data):
    other = dice.choice(_seeds()[image_format]).data
    return data[: dice.randrange(len(data) + 1)] + other[dice.randrange(len(other) + 1) :]


def truncate(dice, image_format, data):
    return data[: dice.randrange(len(data) + 1)]


def insert_bytes(dice, image_format, data):
    at = dice.randrange(len(data) + 1)
    return data[:at] + dice.randbytes(dice.choice([1, 2, 4, 16, 300])) + data[at:]


def move_bytes(dice, image_format, data):
    """Some bytes over others."""
    length = dice.choice([1, 2, 4, 8, 32, 200])
    at, to = dice.randrange(len(data) + 1), dice.randrange(len(data) + 1)
    return data[:to] + data[at : at + length] + data[to + length :]


def repack(dice, image_format, data):
    """The rows inside a PNG's compressed data, or the metadata, damaged and packed again."""
    packed = [
        part
        for part in layout(image_format, data).parts
        if data[part[0] + 4 : part[0] + 8] == b"IDAT"
    ]
    if image_format != "png" or not packed:
        return set_bytes(dice, image_format, data)
    start, end = dice.choice(packed)
    try:
        rows = zlib.decompress(data[start + 8 : end - 4])
    except zlib.error:
        return data
    damage = dice.choice([flip_bits, set_bytes, truncate, insert_bytes, move_bytes])
    again = zlib.compress(damage(dice, image_format, rows))
    chunk = struct.pack(">L", len(again)) + b"IDAT" + again
    return data[:start] + chunk + struct.pack(">L", zlib.crc32(chunk[4:])) + data[end:]


def _part(dice, image_format, data):
    parts = layout(image_format, data).parts
    return dice.choice(parts) if parts else (0, len(data))


# Each, and how often.
OPERATIONS = {
    flip_bits: 3,
    set_bytes: 2,
    set_field: 8,
    drop_part: 2,
    repeat_part: 2,
    swap_parts: 2,
    blank_part: 1,
    splice_part: 3,
    splice_tail: 1,
    truncate: 1,
    insert_bytes: 1,
    move_bytes: 1,
    repack: 2,
}
