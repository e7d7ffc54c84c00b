"""What mutations start from: whole images of every format and kind that is read, a few KiB each."""

import re
import struct
import zlib
from typing import NamedTuple

from PIL import Image, PngImagePlugin

from tests.hostile_images import grey_tiff, run_length_bmp, tiff
from tests.images import (
    ORIENTATION,
    animated,
    encode,
    grey16,
    oriented,
    palette_with_alpha,
    picture,
    png_with_size,
    rgb16_png,
)

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="3"/></x:xmpmeta>'
PROFILE = bytes(range(256)) * 2


def exif():
    """A new one each time: writing some formats changes it."""
    block = Image.Exif()
    block[ORIENTATION], block[0x010E], block[0x011A], block[0x0128] = 6, "a screen", 72.0, 2
    return block


class Seed(NamedTuple):
    """name: with its format before the first dot."""

    name: str
    data: bytes

    @property
    def format(self):
        return self.name.partition(".")[0]


def picture_in(image_format, mode="RGB", sides=(40, 30), **options):
    return encode(picture(*sides, mode), image_format, **options)


def jpegs():
    return {
        "baseline": picture_in("JPEG"),
        "progressive": picture_in("JPEG", progressive=True),
        "large": picture_in("JPEG", sides=(280, 200), quality=30),
        "large-progressive": picture_in("JPEG", sides=(280, 200), quality=30, progressive=True),
        "grey": picture_in("JPEG", "L"),
        "cmyk": picture_in("JPEG", "CMYK"),
        "full-colour": picture_in("JPEG", subsampling=0),
        "restarts": picture_in("JPEG", restart_marker_rows=1),
        "rgb": picture_in("JPEG", keep_rgb=True),
        "oriented": oriented(6),
        "metadata": picture_in("JPEG", exif=exif(), xmp=XMP, icc_profile=PROFILE, comment=b"c"),
        "pictures": animated("MPO"),
        "optimized": picture_in("JPEG", optimize=True, quality=95),
    }


def interlaced_png(mode_bytes, colour, side=9):
    """Adam7, which Pillow does not write: each pass the rows of a smaller picture."""
    passes = [(0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2),
              (1, 2, 0, 1)]  # fmt: skip
    rows = bytearray()
    for top, down, left, right in passes:
        width = len(range(left, side, right))
        for row in range(top, side, down):
            rows += b"\0" + bytes((row * 20 + i) % 256 for i in range(width * mode_bytes))
    return png_with_size(side, side, 8, colour, bytes(rows), interlaced=1)


def pngs():
    text = PngImagePlugin.PngInfo()
    text.add_text("a", "b" * 300, zip=True)
    text.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
    text.add_text("Title", "a screen")
    modes = {mode: picture_in("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")}
    return modes | {
        "grey-16": grey16(20, 15),
        "rgb-16": rgb16_png(),
        "rgba-16": png_with_size(6, 6, 16, 6, (b"\1" + bytes(range(48))) * 6),
        "grey-alpha-16": png_with_size(6, 6, 16, 4, (b"\2" + bytes(range(24))) * 6),
        "2-bit": png_with_size(16, 8, 2, 0, (b"\4" + b"\x1b" * 4) * 8),
        "16-colours": encode(picture(mode="P").quantize(16)),
        "transparent-palette": palette_with_alpha(),
        "transparent-grey": picture_in("PNG", "L", transparency=7),
        "transparent-rgb": picture_in("PNG", transparency=(1, 2, 3)),
        "interlaced-rgb": interlaced_png(3, 2),
        "interlaced-rgba": interlaced_png(4, 6),
        "metadata": picture_in("PNG", pnginfo=text, exif=exif(), icc_profile=PROFILE, dpi=(72, 72)),
        "animated": animated("PNG"),
        "animated-default": encode(
            picture(20, 20), save_all=True, append_images=[picture(20, 20, seed=1)],
            default_image=True, blend=1, disposal=2,
        ),
    }  # fmt: skip


def webps():
    return {
        "lossy": picture_in("WEBP"),
        "lossless": picture_in("WEBP", lossless=True),
        "palette": encode(picture(40, 30).quantize(8).convert("RGB"), "WEBP", lossless=True),
        "alpha": picture_in("WEBP", "RGBA"),
        "alpha-lossy": picture_in("WEBP", "LA", alpha_quality=50),
        "alpha-lossless": picture_in("WEBP", "RGBA", lossless=True),
        "animated": animated("WEBP"),
        "animated-mixed": encode(
            picture(mode="RGBA"), "WEBP", save_all=True, allow_mixed=True,
            append_images=[picture(mode="RGBA", seed=1)],
        ),
        "metadata": picture_in("WEBP", exif=exif(), xmp=XMP, icc_profile=PROFILE),
    }  # fmt: skip


def gifs():
    frames = [picture(30, 20, "P", seed) for seed in range(3)]
    return {
        "plain": picture_in("GIF", "P"),
        "grey": picture_in("GIF", "L"),
        "interlaced": picture_in("GIF", "P", interlace=1),
        "sequential": picture_in("GIF", "P", interlace=0),
        "transparent": picture_in("GIF", "P", transparency=3),
        "animated": animated("GIF"),
        "disposed": encode(
            frames[0], "GIF", save_all=True, append_images=frames[1:], disposal=[2, 3, 1],
            transparency=0, loop=0, comment=b"frames", duration=50,
        ),
        "two-colours": picture_in("GIF", "1"),
    }  # fmt: skip


def bitmap(bits, compression, pixels, width=8, height=4, masks=b"", header_bytes=40, colours=0):
    """Kinds of BMP that Pillow does not write."""
    header = struct.pack(
        "<IiiHHIIiiII", header_bytes, width, height, 1, bits, compression, len(pixels), 1, 1,
        colours, 0,
    )  # fmt: skip
    header = (header + masks).ljust(header_bytes if header_bytes > 40 else 40 + len(masks), b"\0")
    palette = bytes(range(4 * colours))
    start = 14 + len(header) + len(palette)
    file = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start)
    return file + header + palette + pixels


def bmps():
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    wide_masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    old = b"BM" + struct.pack("<IHHIIHHHH", 26 + 24, 0, 0, 26, 12, 4, 2, 1, 24) + bytes(range(24))
    # A run of 8; a run of 5 and 3 literal px; a jump of 3 px and a row; a run.
    runs = b"\x08\x12\0\0\x05\x34\0\x03\1\2\3\0\0\0\0\2\3\1\x05\x56\0\0\0\1"
    return {
        "rgb": picture_in("BMP"),
        "grey": picture_in("BMP", "L"),
        "palette": picture_in("BMP", "P"),
        "1-bit": picture_in("BMP", "1"),
        "rgba": picture_in("BMP", "RGBA"),
        "runs-8": run_length_bmp(8, 4, runs),
        "runs-4": bitmap(4, 2, runs, colours=16),
        "4-bit": bitmap(4, 0, bytes(range(16)), colours=16),
        "16-bit": bitmap(16, 0, bytes(range(64))),
        "565": bitmap(16, 3, bytes(range(64)), masks=masks),
        "argb": bitmap(32, 3, bytes(range(128)), masks=wide_masks, header_bytes=124),
        "upside-down": bitmap(24, 0, bytes(range(96)), height=-4),
        "old": old,
    }


def tiled_tiff(compression, pack):
    """Four tiles of 16 x 16, which Pillow does not write."""
    tiles = [pack(bytes((i * 7 + n * 40) % 256 for i in range(256))) for n in range(4)]
    start = 8 + 2 + 12 * 10 + 4
    starts, at = [], start + 32
    for tile in tiles:
        starts.append(at)
        at += len(tile)
    data = struct.pack("<8L", *starts, *map(len, tiles)) + b"".join(tiles)
    entries = [(322, 3, 1, 16), (323, 3, 1, 16), (324, 4, 4, start), (325, 4, 4, start + 16)]
    return grey_tiff(30, 20, *entries, data=data, compression=compression, strips=False)


def planar_tiff():
    """Each channel on its own."""
    start = 8 + 2 + 12 * 10 + 4
    entries = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 3, start), (259, 3, 1, 1), (262, 3, 1, 2),
               (273, 4, 3, start + 8), (277, 3, 1, 3), (278, 3, 1, 8), (279, 4, 3, start + 20),
               (284, 3, 1, 2)]  # fmt: skip
    offsets = [start + 32 + 64 * channel for channel in range(3)]
    arrays = struct.pack("<4H3L3L", 8, 8, 8, 0, *offsets, 64, 64, 64)
    return tiff(entries, arrays + bytes(range(192)))


def tiffs():
    compressions = ["tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits", "zstd", "lzma"]
    return (
        {name: picture_in("TIFF", sides=(24, 18), compression=name) for name in compressions}
        | {mode: picture_in("TIFF", mode, sides=(24, 18))
           for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F", "YCbCr")}
        | {name: picture_in("TIFF", "1", compression=name)
           for name in ("group3", "group4", "tiff_ccitt")}
        | {
            "LAB": encode(Image.merge("LAB", picture(24, 18).split()), "TIFF"),
            "jpeg": picture_in("TIFF", compression="jpeg"),
            "jpeg-ycbcr": picture_in("TIFF", "YCbCr", compression="jpeg"),
            "grey-16": grey16(20, 15, "TIFF"),
            "float-packed": picture_in("TIFF", "F", sides=(24, 18), compression="tiff_lzw"),
            "strips": picture_in("TIFF", compression="tiff_lzw", strip_size=200),
            "big": picture_in("TIFF", sides=(24, 18), big_tiff=True),
            "pages": animated("TIFF"),
            "metadata": picture_in("TIFF", sides=(24, 18), exif=exif(), icc_profile=PROFILE),
            "tiled": tiled_tiff(1, bytes),
            "tiled-packed": tiled_tiff(8, zlib.compress),
            "planar": planar_tiff(),
        }
    )  # fmt: skip


def timeless(avif):
    """Without the time at which it was made."""
    whole = bytearray(avif)
    for kind in (b"mvhd", b"tkhd", b"mdhd"):
        for match in re.finditer(kind, avif):
            at = match.end() + 4
            whole[at : at + 16] = bytes(16)
    return bytes(whole)


def avifs():
    options = {"speed": 10}
    return {
        "rgb": picture_in("AVIF", **options),
        "grey": picture_in("AVIF", "L", **options),
        "rgba": picture_in("AVIF", "RGBA", **options),
        "full-colour": picture_in("AVIF", subsampling="4:4:4", quality=95, **options),
        "animated": timeless(encode(
            picture(24, 16), "AVIF", save_all=True, append_images=[picture(24, 16, seed=1)],
            **options,
        )),
        "metadata": picture_in("AVIF", exif=exif(), xmp=XMP, icc_profile=PROFILE, **options),
        "tiled": picture_in("AVIF", sides=(200, 150), tile_rows=1, tile_cols=1, **options),
    }  # fmt: skip


def seeds():
    """All of them, in an order that does not change."""
    formats = {"jpeg": jpegs, "png": pngs, "webp": webps, "gif": gifs, "bmp": bmps, "tiff": tiffs,
               "avif": avifs}  # fmt: skip
    return [
        Seed(f"{image_format}.{name}", data)
        for image_format, make in formats.items()
        for name, data in make().items()
    ]
