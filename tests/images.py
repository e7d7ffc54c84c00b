"""Encoded images to test with: honest, odd and damaged ones, made on the spot."""

import io
import struct
import zlib
from functools import cache

import numpy as np
from PIL import Image

ORIENTATION = 0x0112


def picture(width=64, height=48, mode="RGB", seed=0):
    """A smooth picture in which every corner differs."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    waves = np.sin(12 * x + seed) * np.cos(9 * y)
    planes = np.stack([255 * x, 255 * y, 127 + 127 * waves], axis=-1)
    return Image.fromarray(planes.astype(np.uint8)).convert(mode)


def speckles(width, height):
    """Every channel of every pixel 0 or 255 at random: nothing has harder edges."""
    dice = np.random.default_rng(width * height)
    return Image.fromarray(255 * dice.integers(0, 2, (height, width, 3), dtype=np.uint8))


def encode(image, image_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def png(width=64, height=48, seed=0):
    return encode(picture(width, height, seed=seed))


def jpeg(width=64, height=48, seed=0, **options):
    return encode(picture(width, height, seed=seed), "JPEG", **options)


def oriented(orientation, width=64, height=48):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return jpeg(width, height, exif=exif)


def animated(image_format):
    frames = [picture(seed=seed) for seed in range(3)]
    return encode(frames[0], image_format, save_all=True, append_images=frames[1:])


def png_chunk(kind, data):
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def png_with_size(width, height, depth=8, colour=2, rows=bytes(1000), interlaced=0):
    """A PNG whose header promises a size; by default its data is a few bytes."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def gif_with_screen(width, height):
    """A small GIF whose logical screen is said to be another."""
    data = encode(picture(mode="P"), "GIF")
    return data[:6] + struct.pack("<HH", width, height) + data[10:]


def grey16(width=64, height=48, image_format="PNG"):
    ramp = np.linspace(0, 65535, width * height).astype(np.uint16).reshape(height, width)
    return encode(Image.fromarray(ramp), image_format)


def rgb16_png(width=8, height=8):
    return png_with_size(width, height, depth=16, rows=(b"\0" + bytes(range(width * 6))) * height)


def palette_with_alpha():
    image = picture().convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    return encode(image, transparency=bytes([0, 64, 128, 255] * 4))


def flip_bytes(data, every, first=64):
    damaged = bytearray(data)
    for position in range(first, len(damaged), every):
        damaged[position] ^= 0x5A
    return bytes(damaged)


@cache
def odd_images():
    """Name -> bytes of images that are unusual and whole."""
    found = {
        "1x1.png": png(1, 1),
        "1x5000.png": png(1, 5000),
        "5000x1.png": png(5000, 1),
        "3x1000.jpg": jpeg(3, 1000),
        "1-bit.png": encode(picture(mode="1")),
        "1-bit.tiff": encode(picture(mode="1"), "TIFF", compression="group4"),
        "grey.jpg": encode(picture(mode="L"), "JPEG"),
        "grey-alpha.png": encode(picture(mode="LA")),
        "grey-16.png": grey16(),
        "grey-16.tiff": grey16(image_format="TIFF"),
        "rgb-16.png": rgb16_png(),
        "float.tiff": encode(picture(mode="F"), "TIFF"),
        "int32.tiff": encode(picture(mode="I"), "TIFF"),
        "palette.png": encode(picture(mode="P")),
        "palette-alpha.png": palette_with_alpha(),
        "palette-alpha.gif": encode(picture(mode="P"), "GIF", transparency=3),
        "rgba.png": encode(picture(mode="RGBA")),
        "rgba.webp": encode(picture(mode="RGBA"), "WEBP"),
        "rgba.tiff": encode(picture(mode="RGBA"), "TIFF"),
        "cmyk.jpg": encode(picture(mode="CMYK"), "JPEG"),
        "cmyk.tiff": encode(picture(mode="CMYK"), "TIFF"),
        "lab.tiff": encode(Image.new("LAB", (20, 20), (100, 30, 20)), "TIFF"),
        "progressive.jpg": jpeg(progressive=True),
        "icc.jpg": jpeg(icc_profile=b"not a profile" * 20),
        "broken-exif.jpg": jpeg(exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"),
        "lossless.webp": encode(picture(), "WEBP", lossless=True),
        "plain.bmp": encode(picture(), "BMP"),
        "plain.avif": encode(picture(), "AVIF"),
        "lzw.tiff": encode(picture(), "TIFF", compression="tiff_lzw"),
        "jpeg.tiff": encode(picture(), "TIFF", compression="jpeg"),
        "animated.gif": animated("GIF"),
        "animated.webp": animated("WEBP"),
        "animated.png": animated("PNG"),
        "many-pages.tiff": animated("TIFF"),
        "trailing-junk.png": png() + b"junk" * 100,
        "a-png-called.jpg": png(),
    }
    return found | {f"exif-{number}.jpg": oriented(number) for number in range(1, 9)}


def damaged_images():
    """Name -> (bytes, code): each must fail, with this code."""
    whole = {"jpg": jpeg(400, 300), "png": png(400, 300), "gif": animated("GIF")}
    webp, tiff = encode(picture(400, 300), "WEBP"), encode(picture(400, 300), "TIFF")
    avif, bmp = encode(picture(400, 300), "AVIF"), encode(picture(400, 300), "BMP")
    corrupt = {
        "empty": b"",
        "truncated.jpg": whole["jpg"][: len(whole["jpg"]) // 2],
        "truncated.png": whole["png"][: len(whole["png"]) // 2],
        "truncated.webp": webp[: len(webp) // 2],
        "truncated.tiff": tiff[: len(tiff) // 2],
        "truncated.avif": avif[: len(avif) // 2],
        "truncated.bmp": bmp[: len(bmp) // 2],
        "header-only.jpg": whole["jpg"][:24],
        "header-only.png": whole["png"][:33],
        "signature-only.png": whole["png"][:8],
        "flipped.png": flip_bytes(whole["png"], 97),
        "no-data.png": png_with_size(100, 100),
        "zero-size.png": png_with_size(0, 0),
    }
    unsupported = {
        "page.html": b"<!doctype html><title>Not found</title>",
        "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "script.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "paper.pdf": b"%PDF-1.7\n",
        "icon.ico": encode(picture(32, 32), "ICO"),
        "pixmap.ppm": encode(picture(8, 8), "PPM"),
        "photoshop.psd": b"8BPS" + bytes(60),
        "zeros": bytes(1000),
        "text": b"hello",
    }
    bombs = {
        "bomb-header.png": png_with_size(60_000, 60_000),
        "wide-bomb.png": png_with_size(2_000_000_000, 1),
        "large.png": png_with_size(8_000, 8_000),
        "large.gif": gif_with_screen(65_000, 65_000),
    }
    return (
        {name: (data, "decode_corrupt") for name, data in corrupt.items()}
        | {name: (data, "decode_unsupported") for name, data in unsupported.items()}
        | {name: (data, "decode_too_many_pixels") for name, data in bombs.items()}
    )
