"""Bicubic and bilinear resize of uint8 by torch's SIMD kernel: Pillow's filters without the GIL.

The vectorised kernel runs only in the calling thread; torch's number of threads does not matter.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image

from model.encoder import UInt8Array
from model.images.geometry import Axis, Filter, rows_first
from model.images.zero_copy_pixels import zero_copy_pixels

# On other CPUs torch's plain loops take twice as long as Pillow, and wake OpenMP threads for every
# calling thread.
VECTORISED = torch.backends.cpu.get_cpu_capability() in {"AVX2", "AVX512"}
# torch resizes the whole image before the crop. Above this ratio it is as cheap to resize only the
# kept part with Pillow, and 1 x 5000 px would become a million rows.
MAX_ASPECT = 4
FILTERS: set[Filter] = {"bicubic", "bilinear"}


def suits(across: Axis, down: Axis, by: Filter) -> bool:
    """Whether `resize` supports the filter and is faster than Pillow."""
    return (
        VECTORISED
        and by in FILTERS
        and max(across.resized, down.resized) <= MAX_ASPECT * across.size
    )


def resize(rgb: Image.Image, across: Axis, down: Axis, by: Filter = "bicubic") -> UInt8Array:
    """Resize an RGB image and keep its centre S x S. Returns uint8 [S, S, 3].

    Within 2 of 255 of Pillow's resize of the whole image followed by the crop.
    """
    factors = _factor(down), _factor(across)
    passes = [(factors[0], 1.0), (1.0, factors[1])] if rows_first(across, down) else [factors]
    with zero_copy_pixels(rgb) as pixels:
        # [1, 3 or 4, H, W], channels last also by the strides of the first axis: otherwise torch
        # takes the result apart into planes.
        planes = torch.from_numpy(pixels[None].transpose(0, 3, 1, 2))
        for scale in passes:
            planes = torch.nn.functional.interpolate(
                planes, scale_factor=scale, mode=by, antialias=True
            )
    resized = planes.numpy()[0].transpose(1, 2, 0)
    kept = resized[down.start :, across.start :][: down.size, : across.size]
    return _without_padding(kept)


def _without_padding(pixels: UInt8Array) -> UInt8Array:
    """Copy uint8 [S, S, 3 or 4] to [S, S, 3]. Channel by channel NumPy takes a fourth as long."""
    rgb = np.empty((*pixels.shape[:2], 3), np.uint8)
    for channel in range(3):
        rgb[..., channel] = pixels[..., channel]
    return rgb


def _factor(axis: Axis) -> float:
    """Return the next float above the ratio, because torch rounds the resulting length down."""
    return math.nextafter(axis.resized / axis.source, math.inf)
