"""Preprocessing of encoded image bytes to a tower's pixels. The encoder normalises them.

Two named policies:

- `display`: what a viewer shows. EXIF orientation applied, transparency over white, 16-bit
  channels scaled to 8. Resized by torch's kernel, large JPEG decoded to a fraction of their size.
- `reference`: exactly the pixels of transformers' Pillow-backed `CLIPImageProcessorPil`.

Both resize by the geometry and the antialiased filter of the checkpoint (OpenAI's: the shortest
side to S, bicubic), then keep the centre S x S. Of an animation they read the first frame. ICC
profiles are ignored, as in the reference.

torch is imported with the first image that needs it, not with this file: the policy `reference`
and the option `light` do not need it.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile
from PIL.WebPImagePlugin import WebPImageFile

from model.config import Policy
from model.encoder import TellSize, UInt8Array
from model.errors import CorruptImage, TooManyPixels
from model.images.faults import picture_faults
from model.images.geometry import SUPPORT, Axis, Filter, Geometry, axes, rows_first
from model.images.headers import check_exif
from model.images.open_image import open_image
from model.images.webp import decode_first_frame
from model.memory_budget import UNLIMITED, MemoryBudget

DEFAULT_MAX_PIXELS = 50_000_000
# `reference` resizes the whole image before it crops: 1 x 5000 becomes 224 x 1,120,000, which takes
# 11 s and 2.8 GB in the reference itself.
MAX_RESIZED_PIXELS = 16_000_000
# Pixels converted at once: 16 MiB per copy. Converting in bands takes 10 % longer, but at 49
# megapixels of RGBA the peak is 0.4 GB instead of 0.9.
BAND_PIXELS = 2**22
# A JPEG is decoded to 1/2, 1/4 or 1/8 if both sides stay at least this many times the resized side.
SCALED_DECODE_MARGIN = 2
# Peak bytes per px of decoding, flattening and resizing, for the costliest mode of each format.
# Measured on 24 megapixels: JPEG 10, PNG and TIFF 14, AVIF 18, WebP 24, others 11.
BYTES_PER_PIXEL = {"WEBP": 24, "AVIF": 18}
OTHER_BYTES_PER_PIXEL = 14
# Added for a progressive JPEG, per px of the whole image even if a fraction of it is decoded.
PROGRESSIVE_BYTES_PER_PIXEL = 8
# EXIF orientations by their effect on the stored image. Mirroring comes before the transposition.
MIRRORED_ACROSS, MIRRORED_DOWN, ONTO_ITS_SIDE = {2, 3, 7, 8}, {3, 4, 6, 7}, {5, 6, 7, 8}


@dataclass(frozen=True)
class ImagePreprocessing:
    """`preprocess` with all but the image given, as `model.encoder.Preprocessing`."""

    geometry: Geometry
    policy: Policy = "display"
    max_pixels: int = DEFAULT_MAX_PIXELS
    light: bool = False

    @property
    def size(self) -> int:
        """S, the side of the pixels."""
        return self.geometry.size

    def __call__(
        self, data: bytes, budget: MemoryBudget = UNLIMITED, tell_size: TellSize | None = None
    ) -> UInt8Array:
        """Preprocess one image. Returns uint8 [S, S, 3] RGB. Raises DecodeError."""
        limits = (self.max_pixels, self.light, budget)
        return preprocess(data, self.geometry, self.policy, *limits, tell_size)


def preprocess(
    data: bytes,
    geometry: Geometry | int,
    policy: Policy = "display",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    light: bool = False,
    budget: MemoryBudget = UNLIMITED,
    tell_size: TellSize | None = None,
) -> UInt8Array:
    """Decode, orient, flatten, resize and crop one image.

    Args:
        data: an encoded image in one of FORMATS; its name and content type are not used.
        geometry: of the checkpoint; a number S means OpenAI's geometry for that side.
        policy: `display` or `reference`.
        max_pixels: the largest width x height that a header may declare.
        light: resize with Pillow, which is slower, so that torch is not imported.
        budget: memory shared with other images; waits until enough is free.
        tell_size: called with width and height of the whole picture as a viewer shows it, which is
            with its EXIF orientation under both policies, once it is decoded.

    Returns:
        uint8 [S, S, 3], RGB, 0..255.

    Raises:
        UnsupportedImage, CorruptImage, TooManyPixels: see `model.errors`; the image is at fault.
        Any other: this code or this machine is at fault.
    """
    if isinstance(geometry, int):
        geometry = Geometry.clip(geometry)
    with open_image(data, max_pixels) as image:
        whole = image.size
        if policy == "reference":
            with budget.take(_decoding_bytes(image, whole)):
                pixels = _reference(image, data, geometry)
        else:
            extent = _draft(image, geometry)
            with budget.take(_decoding_bytes(image, whole)):
                pixels = _display(image, data, extent, geometry, light)
        if tell_size is not None:
            tell_size(*_as_shown(image, whole))
        return pixels


def _decoding_bytes(image: ImageFile, whole: tuple[int, int]) -> int:
    """Return the peak memory of decoding the drafted image. whole: its full width and height."""
    each = BYTES_PER_PIXEL.get(image.format or "", OTHER_BYTES_PER_PIXEL)
    kept = PROGRESSIVE_BYTES_PER_PIXEL if image.info.get("progressive") else 0
    return each * math.prod(image.size) + kept * math.prod(whole)


def _decode(image: ImageFile, data: bytes) -> Image.Image:
    """Decode the first frame. data: the whole file."""
    if isinstance(image, WebPImageFile):
        frame = decode_first_frame(image, data)
        if frame is not None:
            return frame
    with picture_faults():
        image.load()
    return image


def _display(
    image: ImageFile, data: bytes, extent: tuple[float, float], geometry: Geometry, light: bool
) -> UInt8Array:
    decoded = _decode(image, data)
    orientation = _orientation(image)  # a PNG may have it behind its pixels
    if orientation in ONTO_ITS_SIDE:
        geometry = geometry.on_its_side()
    across, down = axes(extent, geometry)
    if orientation in MIRRORED_ACROSS:
        across = across.mirrored()
    if orientation in MIRRORED_DOWN:
        down = down.mirrored()
    pixels = _resize(_to_rgb(decoded, wide=True), across, down, geometry.filter, light)
    return _turn(pixels, orientation)


def _draft(image: Image.Image, geometry: Geometry) -> tuple[float, float]:
    """Set a large JPEG to be decoded to a fraction of its size, which saves most of the work.

    Returns width and height in px of the decoded image; a part of its last px may be padding.
    """
    if geometry.filter == "nearest":  # it picks px of the whole image; a fraction has others
        return image.size
    side = SCALED_DECODE_MARGIN * geometry.longest
    with picture_faults():
        drafted = image.draft(None, (side, side))
    _, (*_, width, height) = drafted or (None, (0, 0, *image.size))
    return width, height


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8. An unreadable one counts as 1, as in viewers."""
    with suppress(CorruptImage), picture_faults():
        check_exif(image.info.get("exif") or b"")
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def _as_shown(image: Image.Image, size: tuple[int, int]) -> tuple[int, int]:
    """Return width and height with the EXIF orientation. image: decoded; size: as it was before."""
    width, height = size
    with suppress(TooManyPixels):  # an EXIF block that `reference` does not read
        if _orientation(image) in ONTO_ITS_SIDE:
            return height, width
    return width, height


def _turn(pixels: UInt8Array, orientation: int) -> UInt8Array:
    """Apply an EXIF orientation to uint8 [S, S, 3]: 150 kB instead of the whole image."""
    if orientation in MIRRORED_ACROSS:
        pixels = pixels[:, ::-1]
    if orientation in MIRRORED_DOWN:
        pixels = pixels[::-1]
    if orientation in ONTO_ITS_SIDE:
        pixels = pixels.transpose(1, 0, 2)
    return np.ascontiguousarray(pixels)


def _resize(rgb: Image.Image, across: Axis, down: Axis, by: Filter, light: bool) -> UInt8Array:
    """Resize and keep the centre. Returns uint8 [S, S, 3]."""
    if not light:
        from model.images.resize import resize, suits

        if suits(across, down, by):
            return resize(rgb, across, down, by)
    return _resize_kept(rgb, across, down, by)


def _resize_kept(rgb: Image.Image, across: Axis, down: Axis, by: Filter) -> UInt8Array:
    """Resize with Pillow only what the crop keeps, one axis at a time. Returns uint8 [S, S, 3].

    The order of the axes is Pillow's order for a whole image, so that both policies agree.
    """
    size, pillows = across.size, _pillows(by)
    (left, right), (top, bottom) = across.kept, down.kept
    if rows_first(across, down):
        first, last = across.read(rgb.width, SUPPORT[by])
        low = rgb.resize((last - first, size), pillows, (first, top, last, bottom))
        kept = low.resize((size, size), pillows, (left - first, 0, right - first, size))
    else:
        first, last = down.read(rgb.height, SUPPORT[by])
        narrow = rgb.resize((size, last - first), pillows, (left, first, right, last))
        kept = narrow.resize((size, size), pillows, (0, top - first, size, bottom - first))
    return np.asarray(kept)


def _reference(image: ImageFile, data: bytes, geometry: Geometry) -> UInt8Array:
    across, down = axes(image.size, geometry)
    width, height = across.resized, down.resized
    if width * height > MAX_RESIZED_PIXELS:
        raise TooManyPixels(
            f"resizes to {width} x {height} pixels, the limit is {MAX_RESIZED_PIXELS:,}"
        )
    rgb = _to_rgb(_decode(image, data), wide=False)
    resized = np.asarray(rgb.resize((width, height), _pillows(geometry.filter)))
    left, top, size = across.start, down.start, geometry.size
    return np.ascontiguousarray(resized[top : top + size, left : left + size])


def _pillows(by: Filter) -> Image.Resampling:
    return Image.Resampling[by.upper()]


def _to_rgb(image: Image.Image, wide: bool) -> Image.Image:
    """Convert to RGB, transparency over white. wide: scale channels of over 8 bits to 8.

    A large image is converted in bands of rows, to limit the memory of intermediate copies.
    """
    if image.mode == "RGB" and image.info.get("transparency") is None:
        return image
    height = max(1, BAND_PIXELS // image.width)
    if height >= image.height:
        return _flatten(_to_8_bit(image) if wide else image)
    rgb = Image.new("RGB", image.size)
    for top in range(0, image.height, height):
        band = image.crop((0, top, image.width, min(top + height, image.height)))
        rgb.paste(_flatten(_to_8_bit(band) if wide else band), (0, top))
    return rgb


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Scale channels of more than 8 bits to 8; Pillow's own conversion would clip them."""
    if image.mode.startswith("I"):
        whole = np.asarray(image)
        if whole.dtype != np.uint16:
            whole = np.clip(whole, 0, 65535).astype(np.uint16)
        return Image.fromarray((whole // 257).astype(np.uint8))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        return Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))
    return image


def _flatten(image: Image.Image) -> Image.Image:
    with picture_faults():
        if "A" not in image.getbands() and image.info.get("transparency") is None:
            return image.convert("RGB")
        rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")
