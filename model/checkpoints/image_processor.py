"""The settings in preprocessor_config.json, read as transformers reads them for a family.

Pure. A value either gives the same pixels as in transformers, or is refused with its key. No
checkpoint is silently preprocessed differently.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from model.checkpoints.families import CLIP_IMAGES, Family
from model.errors import CheckpointError
from model.images.geometry import FILTERS, MAX_SIDE, Geometry

RGB = tuple[float, float, float]

EDGES = {"shortest_edge", "longest_edge"}
MIN_FACTOR, MAX_FACTOR = 1e-6, 1e3
MAX_SHOWN_CHARS = 80


class ImageProcessor(NamedTuple):
    """mean, std: RGB, of pixels / 255, with the rescale factor taken into account."""

    geometry: Geometry
    mean: RGB
    std: RGB


def read(path: Path, found: Mapping[str, Any], sides: range, family: Family) -> ImageProcessor:
    """Read the configuration of an image processor.

    Args:
        path: its file, for messages.
        found: its keys and values.
        sides: of the squares that the image tower takes, px.
        family: of the checkpoint.

    Raises:
        CheckpointError: a value is not supported; the message names the file, key and value.
    """
    config = _Config(path, found, family.image_defaults)
    kind = found.get("image_processor_type")
    if kind is not None and not str(kind).startswith(family.image_processors):
        raise config.refusal("image_processor_type", f"it is not {family.words}'s image processor")
    if not config.flag("do_convert_rgb"):
        raise config.refusal("do_convert_rgb", "the image tower takes RGB")
    if config.flag("do_pad"):
        raise config.refusal("do_pad", "pictures are not padded")
    mean, std = _normalization(config)
    return ImageProcessor(_geometry(config, sides), mean, std)


class _Config:
    """Values by key, with defaults for absent keys."""

    def __init__(self, path: Path, found: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        self._path, self._found, self._defaults = path, found, defaults

    def knows(self, key: str) -> bool:
        """Whether processors of the family follow a key."""
        return key in self._defaults

    def value(self, key: str) -> Any:
        return self._found.get(key, self._defaults[key])

    def flag(self, key: str) -> bool:
        """Return a boolean. Null is false, as in transformers."""
        value = self.value(key)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.refusal(key, "it must be true or false")
        return value

    def refusal(self, key: str, why: str) -> CheckpointError:
        given = "" if key in self._found else " by default"
        shown = json.dumps(self._found.get(key, self._defaults.get(key)))
        if len(shown) > MAX_SHOWN_CHARS:
            shown = shown[:MAX_SHOWN_CHARS] + "..."
        return CheckpointError(f'{self._path}: "{key}" is {shown}{given}: {why}')


def _geometry(config: _Config, sides: range) -> Geometry:
    resize, crop = _resize(config), _crop(config)
    if not config.flag("do_resize"):
        raise config.refusal("do_resize", "pictures must be resized to what the image tower takes")
    cropped = config.flag("do_center_crop")
    size = _side(crop if cropped else resize, sides)
    if cropped and size is None:
        raise config.refusal("crop_size", f"the image tower takes {_squares(sides)}")
    if size is None:
        raise config.refusal(
            "do_center_crop", f'"size" alone does not give the {_squares(sides)} of the image tower'
        )
    if min(resize if isinstance(resize, tuple) else (resize,)) < size:
        raise config.refusal("size", f"the crop of {size} px would be larger than the picture")
    return Geometry(size, resize, FILTERS[_resample(config)])


def _side(size: int | tuple[int, int], sides: range) -> int | None:
    """Return the side of a square that the image tower takes, or None of anything else."""
    match size:
        case (height, width) if height == width and height in sides:
            return height
        case _:
            return None


def _squares(sides: range) -> str:
    least, most = sides.start, sides.stop - 1
    more = f" to {most} x {most}" if most > least else ""
    return f"{least} x {least}{more} px"


def _resize(config: _Config) -> int | tuple[int, int]:
    """Return the shortest side, or height and width, px."""
    if config.knows("use_square_size") and config.flag("use_square_size"):
        side = CLIP_IMAGES["size"]["shortest_edge"]
        return side, side
    sides = _sides(config, "size", square=config.flag("default_to_square"))
    match sides:
        case {"shortest_edge": int(side), **others} if not others:
            return side
        case {"height": int(height), "width": int(width)}:
            return height, width
        case _:
            raise config.refusal("size", "only shortest_edge, or height and width, is supported")


def _crop(config: _Config) -> tuple[int, int]:
    """Return height and width, px."""
    match _sides(config, "crop_size", square=True):
        case {"height": int(height), "width": int(width)}:
            return height, width
        case _:
            raise config.refusal("crop_size", "only height and width are supported")


def _sides(config: _Config, key: str, *, square: bool) -> dict[str, Any]:
    """Return a size by side. square: a single number means both sides, not the shortest."""
    match config.value(key):
        case bool():
            raise config.refusal(key, "it is not a size")
        case int(side):
            sides = {"height": side, "width": side} if square else {"shortest_edge": side}
        case [height, width]:
            sides = {"height": height, "width": width}
        case dict(named) if set(named) in ({"height", "width"}, {"shortest_edge"}, EDGES):
            sides = {name: side for name, side in named.items() if side is not None}
        case _:
            raise config.refusal(key, "it is not a supported form of a size")
    if not all(type(side) is int and 0 < side <= MAX_SIDE for side in sides.values()):
        raise config.refusal(key, f"its sides must be whole numbers of px from 1 to {MAX_SIDE}")
    return sides


def _resample(config: _Config) -> int:
    number = config.value("resample")
    if type(number) is not int or not 0 <= number < len(FILTERS):
        numbers = ", ".join(f"{number} ({name})" for number, name in enumerate(FILTERS))
        raise config.refusal("resample", f"it must be one of {numbers}")
    return number


def _normalization(config: _Config) -> tuple[RGB, RGB]:
    """Return mean and std of pixels / 255: (f x - mean) / std with f x = 255 f (x / 255)."""
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if config.flag("do_normalize"):
        mean, std = _three(config, "image_mean"), _three(config, "image_std")
        if min(std) <= 0:
            raise config.refusal("image_std", "it must be above 0")
    scale = 255 * _factor(config)
    if round(scale, 6) == 1:  # the factor is 1 / 255, to the digits in the file
        return mean, std
    return _over(mean, scale), _over(std, scale)


def _factor(config: _Config) -> float:
    """Return the factor that pixels of 0..255 are multiplied by."""
    if not config.flag("do_rescale"):
        return 1.0
    factor = config.value("rescale_factor")
    if type(factor) not in (int, float) or not MIN_FACTOR <= factor <= MAX_FACTOR:
        raise config.refusal("rescale_factor", f"it must be from {MIN_FACTOR:g} to {MAX_FACTOR:g}")
    return float(factor)


def _three(config: _Config, key: str) -> RGB:
    """Return one number a channel; a single number in the file is for all."""
    value = config.value(key)
    values = list(value) if isinstance(value, list | tuple) else [value] * 3
    if len(values) != 3 or not all(_is_finite(one) for one in values):
        raise config.refusal(key, "it must be three numbers")
    red, green, blue = map(float, values)
    return red, green, blue


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _over(values: RGB, scale: float) -> RGB:
    red, green, blue = values
    return red / scale, green / scale, blue / scale
