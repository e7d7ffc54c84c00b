"""Images within the byte limit whose header or pixels cost out of all proportion, made on the spot.

Behind each is what it took before it was refused: seconds of CPU, and growth of the process.
"""

import struct
import zlib

from PIL import Image

from tests.images import encode, jpeg, picture, png_chunk, png_with_size

MAX_IMAGE_BYTES = 20 * 2**20
# The decoder does not look into most of it.
BULK = MAX_IMAGE_BYTES - 10_000
BYTE, SHORT, LONG, RATIONAL = 1, 3, 4, 5
STRIP_OFFSETS, X_RESOLUTION, EXIF_IFD, ORIENTATION = 273, 282, 34665, 274


def filled(unit, size=BULK):
    return unit * (size // len(unit))


def tiff(entries, data=b""):
    """Little-endian: one directory of (tag, kind, count, value or offset), then data."""
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHLL", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<L", 8) + directory + bytes(4) + data


def after(entries):
    """The offset of a TIFF's data, behind so many entries."""
    return 8 + 2 + 12 * entries + 4


def grey_tiff(width, height, *entries, data=b"", compression=1, strips=True):
    basic = [(256, LONG, 1, width), (257, LONG, 1, height), (258, SHORT, 1, 8),
             (259, SHORT, 1, compression), (262, SHORT, 1, 1), (277, SHORT, 1, 1)]  # fmt: skip
    if strips:
        basic += [(STRIP_OFFSETS, LONG, 1, 8), (278, LONG, 1, 1)]
    return tiff(sorted([*basic, *entries]), data)


def tiff_of_strips(kind, unit):
    """2 px, and an offset of a strip for each few bytes of the file."""
    data = filled(unit)
    count = len(data) // len(unit)
    return grey_tiff(
        1, 2, (STRIP_OFFSETS, kind, count, after(8)), (278, LONG, 1, 1), data=data, strips=False
    )


def tiff_of_tiles(count=5_000_000):
    tiles = [(322, LONG, 1, 1), (323, LONG, 1, 1), (324, LONG, count, after(9))]
    return grey_tiff(7000, 7000, *tiles, data=struct.pack("<L", 9) * count, strips=False)


def tiff_with_a_large_tile(width=2**20, length=2**10, kind=LONG):
    packed = zlib.compress(bytes(10_000_000))
    tiles = [(322, kind, 1, width), (323, kind, 1, length), (324, LONG, 1, after(10)),
             (325, LONG, 1, len(packed))]  # fmt: skip
    return grey_tiff(100, 100, *tiles, data=packed, compression=8, strips=False)


def rationals(tag, count=2_400_000, *before):
    """An EXIF block of one value for each 8 bytes."""
    return tiff([*before, (tag, RATIONAL, count, after(1 + len(before)))], count * bytes(range(8)))


def tiff_with_a_directory(count=2_400_000):
    """An EXIF directory of its own, with that many values."""
    entry = struct.pack("<HHHLL", 1, 0x9999, RATIONAL, count, after(9) + 18) + bytes(4)
    pointer = (EXIF_IFD, LONG, 1, after(9))
    return grey_tiff(1, 1, pointer, data=entry + count * bytes(range(8)))


def segment(marker, payload):
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def jpeg_with(inserted, **options):
    whole = jpeg(64, 48, **options)
    return whole[:2] + inserted + whole[2:]


def jpeg_with_exif(block):
    """Over as many segments as it takes, and without the resolution that JFIF has."""
    parts = [block[at : at + 60_000] for at in range(0, len(block), 60_000)]
    whole = jpeg(64, 48)
    after_jfif = 4 + int.from_bytes(whole[4:6])
    segments = b"".join(segment(0xE1, b"Exif\0\0" + part) for part in parts)
    return whole[:2] + segments + whole[after_jfif:]


def png_with(chunks):
    whole = encode(picture(16, 16))
    return whole[:33] + chunks + whole[33:]


def text_chunk(kind, head, fill=b"\0"):
    """1 MiB of text in 1 KiB."""
    return png_chunk(kind, head + zlib.compress(fill * (2**20 - 1), 9))


def gif_with(blocks):
    whole = encode(picture(mode="P"), "GIF")
    first_frame = whole.index(b",", 13 + 768)
    return whole[:first_frame] + blocks + whole[first_frame:]


def run_length_bmp(width, height, runs):
    palette = bytes(range(256)) * 4
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 1, 1, 256, 0)
    start = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + header + palette + runs


def avif_with_exif(count=2_400_000):
    """Its orientation of that many values; written as another tag, which the encoder passes on."""
    block = rationals(0x0101, count, (0x0100, LONG, 1, 1))
    return encode(picture(16, 16), "AVIF", exif=b"Exif\0\0" + block).replace(
        b"\x01\x01\x05\0", b"\x12\x01\x05\0"
    )


# Name -> maker of a file that is refused as costing too much.
REFUSED = {
    "strips.tiff": lambda: tiff_of_strips(LONG, b"\x09\0\0\0"),  # 31 s, 1.3 GB
    "strips-16.tiff": lambda: tiff_of_strips(SHORT, b"\x09\0"),  # 56 s, 2.5 GB
    "strips-8.tiff": lambda: tiff_of_strips(BYTE, b"\x09"),  # 120 s, 4.9 GB
    "tiles.tiff": tiff_of_tiles,  # 29 s, 1.6 GB
    "large-tile.tiff": tiff_with_a_large_tile,  # 10 KB, 1.0 GB
    "odd-tile.tiff": lambda: tiff_with_a_large_tile(kind=16),
    "values.tiff": lambda: grey_tiff(  # 7 s, 0.4 GB
        1, 1, (X_RESOLUTION, RATIONAL, 2_400_000, after(9)), data=2_400_000 * bytes(range(8))
    ),
    "tags.tiff": lambda: grey_tiff(
        1, 1, *[(300 + number, BYTE, 4, 0) for number in range(60_000)]
    ),
    "exif-segments.jpg": lambda: jpeg_with(  # over 150 s
        filled(segment(0xE1, b"Exif\0\0" + bytes(10)))
    ),
    "segments.jpg": lambda: jpeg_with(filled(segment(0xE5, b""))),  # 8 s, 0.7 GB
    "padding.jpg": lambda: jpeg_with(filled(b"\xff")),  # 11 s
    "components.jpg": lambda: jpeg_with(  # 2 s, 0.6 GB
        filled(segment(0xC0, b"\x08\0\x10\0\x10\x03" + b"\x01\x11\0" * 20_000))
    ),
    "exif.jpg": lambda: jpeg_with_exif(rationals(X_RESOLUTION, 2_000_000)),  # 7 s, 0.4 GB
    "profiles.png": lambda: png_with(filled(text_chunk(b"iCCP", b"a\0\0"))),  # 46 s
    "texts.png": lambda: png_with(filled(text_chunk(b"zTXt", b"\0\0"))),  # 44 s
    "no-unicode.png": lambda: png_with(  # 47 s
        filled(text_chunk(b"iTXt", b"a\0\1\0\0\0", b"\xff"))
    ),
    "chunks.png": lambda: png_with(filled(png_chunk(b"prVt", b""))),  # 5 s
    "exif.png": lambda: png_with(png_chunk(b"eXIf", rationals(ORIENTATION))),  # 7 s, 0.4 GB
    "exif.webp": lambda: encode(picture(), "WEBP", exif=rationals(ORIENTATION)),  # 7 s, 0.4 GB
    "exif.avif": avif_with_exif,  # 7 s, 0.4 GB
    "comments.gif": lambda: gif_with(b"!\xfe" + filled(b"\x01a") + b"\0"),  # 2 s, 0.9 GB
    "one-run.bmp": lambda: run_length_bmp(50_000_000, 1, b"\x01\x05\0\0\0\x01"),  # 1 KB, 6 s
    "runs.bmp": lambda: run_length_bmp(2800, 2800, filled(b"\x01\x05")),  # 5 s
}  # fmt: skip


def many_scans(side):
    """A progressive JPEG with as many as are allowed, all over the whole picture."""
    whole = jpeg(side, side, progressive=True)
    last, there = whole.rindex(b"\xff\xda"), whole.count(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * (100 - there) + whole[-2:]


def understated_avif(side):
    """Its container says 10 x 10, the stream in it side x side."""
    whole = bytearray(encode(Image.new("RGB", (side, side), (1, 2, 3)), "AVIF", speed=10))
    size = whole.index(b"ispe") + 8
    whole[size : size + 8] = struct.pack(">II", 10, 10)
    return bytes(whole)


def plain(image_format, mode, side, **options):
    return encode(Image.new(mode, (side, side)), image_format, **options)


def costly(side=7000):
    """Name -> maker of a file that is decoded, however much it costs; side: 7000 is the limit."""
    return {
        "scans.jpg": lambda: many_scans(side),
        "cmyk.jpg": lambda: plain("JPEG", "CMYK", side),
        "blocks.jpg": lambda: jpeg_with(
            filled(segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\0" * 5400))
        ),
        "rgba.png": lambda: plain("PNG", "RGBA", side, compress_level=1),
        "rgba-16.png": lambda: png_with_size(
            side, side, 16, 6, rows=(b"\0" + bytes(8 * side)) * side
        ),
        "transparent.gif": lambda: plain("GIF", "P", side, transparency=0),
        "rgba.webp": lambda: plain("WEBP", "RGBA", side, method=0),
        "lossless.webp": lambda: plain("WEBP", "RGBA", side, method=0, lossless=True),
        "rgb.avif": lambda: plain("AVIF", "RGB", side, speed=10),
        "rgba.avif": lambda: plain("AVIF", "RGBA", side, speed=10),
        "understated.avif": lambda: understated_avif(side * 10 // 7),
        "float.tiff": lambda: plain("TIFF", "F", side, compression="tiff_deflate"),
        "integers.tiff": lambda: plain("TIFF", "I", side, compression="tiff_deflate"),
        "rgba.tiff": lambda: plain("TIFF", "RGBA", side, compression="tiff_lzw"),
        "group4.tiff": lambda: plain("TIFF", "1", side, compression="group4"),
        "directory.tiff": tiff_with_a_directory,
        "rows.bmp": lambda: run_length_bmp(2800, 2800, (b"\xff\x05" * 11 + b"\0\0") * 2800),
    }
