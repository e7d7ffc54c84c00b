"""Encoded image bytes to the pixels a tower reads. Never normalised: that is the encoder's.

Two named policies:

- `display`: what a viewer shows. EXIF orientation applied, transparency over white, 16-bit
  channels scaled to 8; resizes only what the centre crop keeps.
- `reference`: what transformers' Pillow-backed `CLIPImageProcessorPil` does, to the pixel.

Both: the shortest side to S by Pillow's antialiased bicubic filter, then the centre S x S. Of an
animation the first frame. ICC profiles are ignored, as the reference ignores them.
"""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from model.config import Policy
from model.encoder import UInt8Array
from model.errors import CorruptImage, DecodeError, TooManyPixels, UnsupportedImage

# Part of the fingerprint: to be raised with any change that changes pixels.
POLICY_VERSION = 1
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
BICUBIC = Image.Resampling.BICUBIC
DEFAULT_MAX_PIXELS = 50_000_000
# `reference` resizes the whole picture before it crops: 1 x 5000 becomes 224 x 1,120,000,
# 11 s and 2.8 GB in the reference itself.
MAX_RESIZED_PIXELS = 16_000_000
# Encoders write some 10; 200 more of 49 megapixels took 5 s.
MAX_SCANS = 100


def preprocess(
    data: bytes,
    size: int,
    policy: Policy = "display",
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> UInt8Array:
    """Decode, orient, flatten, resize and crop one image.

    Args:
        data: an encoded image in one of FORMATS, whatever its name or content type said.
        size: S, side of the result in px.
        policy: `display` or `reference`.
        max_pixels: the largest width x height that is decoded.

    Returns:
        uint8 [S, S, 3], RGB, 0..255.

    Raises:
        UnsupportedImage, CorruptImage, TooManyPixels: see `model.errors`.
    """
    try:
        with _open(data) as image:
            _check_pixels(image, max_pixels)
            _check_scans(image, data)
            return _display(image, size) if policy == "display" else _reference(image, size)
    except DecodeError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise TooManyPixels(f"more than {max_pixels:,} pixels") from exc
    except MemoryError as exc:
        raise TooManyPixels("not enough memory to decode it") from exc
    except Exception as exc:  # Pillow raises nearly every type for damaged files
        raise CorruptImage(f"damaged image: {_reason(exc)}") from exc


def _open(data: bytes) -> Image.Image:
    """Read the header only."""
    if not data:
        raise CorruptImage("empty image")
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as exc:
        if _begins_like_an_image(data):
            raise CorruptImage("damaged image header") from exc
        raise UnsupportedImage("not a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF image") from exc


def _begins_like_an_image(data: bytes) -> bool:
    accepts = (Image.OPEN[name][1] for name in FORMATS if name in Image.OPEN)
    return any(accept is not None and accept(data[:16]) for accept in accepts)


def _check_pixels(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise CorruptImage(f"an image of {width} x {height} pixels")
    if width * height > max_pixels:
        raise TooManyPixels(f"{width} x {height} pixels, the limit is {max_pixels:,}")


def _check_scans(image: Image.Image, data: bytes) -> None:
    """Each scan of a progressive JPEG is a pass over all pixels, and may be 75 bytes long."""
    scans = data.count(b"\xff\xda") if image.format in {"JPEG", "MPO"} else 0
    if scans > MAX_SCANS:
        raise TooManyPixels(f"{scans} scans, the limit is {MAX_SCANS}")


def _display(image: Image.Image, size: int) -> UInt8Array:
    rgb = _flatten(_to_8_bit(_orient(image)))
    (left, right), (top, bottom) = _kept(rgb.size, size)
    # One axis at a time, columns first and only the rows that the second pass reads: the order
    # Pillow takes for a whole picture of ordinary shape, so that both policies agree to the pixel.
    first = max(0, math.floor(top - _support_px(bottom - top, size)))
    last = min(rgb.height, math.ceil(bottom + _support_px(bottom - top, size)))
    narrow = rgb.resize((size, last - first), BICUBIC, (left, first, right, last))
    return np.asarray(narrow.resize((size, size), BICUBIC, (0, top - first, size, bottom - first)))


def _support_px(kept_px: float, size: int) -> float:
    """How far beyond the kept part the filter reads: bicubic spans 2 px of the coarser grid."""
    return 2 * max(1.0, kept_px / size) + 1


def _reference(image: Image.Image, size: int) -> UInt8Array:
    width, height = _resized(image.size, size)
    if width * height > MAX_RESIZED_PIXELS:
        raise TooManyPixels(
            f"resizes to {width} x {height} pixels, the limit is {MAX_RESIZED_PIXELS:,}"
        )
    resized = np.asarray(_flatten(image).resize((width, height), BICUBIC))
    left, top = (width - size) // 2, (height - size) // 2
    return np.ascontiguousarray(resized[top : top + size, left : left + size])


def _orient(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; one that cannot be read counts as none, as in viewers."""
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - a damaged EXIF block raises nearly every type
        return image


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Scale what has more than 8 bits a channel; Pillow's own conversion would clip it."""
    if image.mode.startswith("I"):
        whole = np.asarray(image)
        if whole.dtype != np.uint16:
            whole = np.clip(whole, 0, 65535).astype(np.uint16)
        return Image.fromarray((whole // 257).astype(np.uint8))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float32)) * 255
        return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    return image


def _flatten(image: Image.Image) -> Image.Image:
    """To RGB, transparency composited over white."""
    if "A" not in image.getbands() and image.info.get("transparency") is None:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")


def _resized(image_size: tuple[int, int], size: int) -> tuple[int, int]:
    """Width and height once the shortest side is `size`; the longer one truncated, px."""
    width, height = image_size
    if width <= height:
        return size, int(size * height / width)
    return int(size * width / height), size


def _kept(image_size: tuple[int, int], size: int) -> list[tuple[float, float]]:
    """The part of the source that the centre crop keeps: (start, end) in px, across and down."""
    spans = []
    for source, resized in zip(image_size, _resized(image_size, size), strict=True):
        scale, start = source / resized, (resized - size) // 2
        spans.append((start * scale, min((start + size) * scale, source)))
    return spans


def _reason(exc: Exception) -> str:
    """A library's message, short and on one line."""
    return " ".join(str(exc).split())[:120] or type(exc).__name__
