"""Opening of an encoded image: reads the header and bounds the cost of decoding.

The limits refuse no image within 50 megapixels that an ordinary encoder writes. Each limit has a
file in `tests/hostile_images.py` that took many seconds or gigabytes without it.
"""

from __future__ import annotations

import ctypes
import io
from contextlib import suppress
from functools import cache

import numpy as np
from PIL import Image, UnidentifiedImageError, _avif, _imaging
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from model.errors import CorruptImage, TooManyPixels, UnsupportedImage
from model.images.faults import picture_faults
from model.images.headers import check_exif, check_header

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
# Encoders write about 10. At 49 megapixels, 200 more scans took 5 s.
MAX_SCANS = 100
# Pillow parses headers in Python, with at least one read for each marker, chunk or block. This many
# reads take 1 s. An ordinary file of 20 MiB needs about 10,000.
MAX_READS = 500_000
# Pillow decodes run lengths in Python, at 0.1 µs a px.
MAX_RUN_LENGTH_PIXELS = 8_000_000


def open_image(data: bytes, max_pixels: int) -> ImageFile:
    """Read only the header of an image in one of FORMATS. max_pixels: width x height.

    Raises:
        UnsupportedImage, CorruptImage, TooManyPixels: see `model.errors`.
    """
    if not data:
        raise CorruptImage("empty image")
    check_header(data)
    _check_avif(data)
    image = _open(data, max_pixels)
    _check_pixels(image, max_pixels)
    _check_scans(image, data)
    if isinstance(image, TiffImageFile):
        _silence_libtiff()
        # Without this, Pillow reads every further directory of a file to load one page.
        image.is_animated = True
    return image


def _open(data: bytes, max_pixels: int) -> ImageFile:
    with picture_faults():
        try:
            return Image.open(_Metered(data), formats=FORMATS)
        except UnidentifiedImageError as exc:
            if _begins_like_an_image(data):
                raise CorruptImage("damaged image header") from exc
            raise UnsupportedImage("not a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF image") from exc
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
            raise TooManyPixels(f"more than {max_pixels:,} pixels") from exc


@cache
def _silence_libtiff() -> None:
    """Silence libtiff. It prints a line for each unreadable row: a 1 KB file gives 3 MB of log."""
    # Look it up through Pillow's module: its path depends on the wheel or the distribution.
    with suppress(AttributeError):  # linked statically, without symbols
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


class _Metered(io.BytesIO):
    """A file that allows MAX_READS reads."""

    _left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise TooManyPixels(f"more than {MAX_READS:,} markers, chunks or blocks")
        return super().read(size)


def _begins_like_an_image(data: bytes) -> bool:
    accepts = (Image.OPEN[name][1] for name in FORMATS if name in Image.OPEN)
    return any(accept is not None and accept(data[:16]) for accept in accepts)


def _check_avif(data: bytes) -> None:
    """Check an AVIF file's EXIF block before Pillow parses it, which it does on opening."""
    if data[4:8] != b"ftyp":
        return
    exif = b""
    with suppress(CorruptImage), picture_faults():  # Pillow fails the same way and reports it
        _, _, _, _, exif, _, _ = _avif.AvifDecoder(data, "auto", 1).get_info()
    check_exif(exif or b"")


def _check_pixels(image: ImageFile, max_pixels: int) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise CorruptImage(f"an image of {width} x {height} pixels")
    is_run_length = any(tile.codec_name == "bmp_rle" for tile in image.tile)
    limit = min(max_pixels, MAX_RUN_LENGTH_PIXELS) if is_run_length else max_pixels
    if width * height > limit:
        raise TooManyPixels(f"{width} x {height} pixels, the limit is {limit:,}")


def _check_scans(image: ImageFile, data: bytes) -> None:
    """Limit the scans of a progressive JPEG: 75 bytes can cost a pass over all pixels."""
    scans = _count_scans(data) if image.format in {"JPEG", "MPO"} else 0
    if scans > MAX_SCANS:
        raise TooManyPixels(f"{scans} scans, the limit is {MAX_SCANS}")


def _count_scans(data: bytes) -> int:
    """Count 0xFF 0xDA, as numbers of two bytes: `bytes.count` takes 8 times as long."""
    pairs = (np.frombuffer(data, "<u2", (len(data) - start) // 2, start) for start in (0, 1))
    return sum(int(np.count_nonzero(some == 0xDAFF)) for some in pairs)
