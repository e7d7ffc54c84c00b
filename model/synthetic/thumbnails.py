"""Generated interface thumbnails: the same attributes and seed give the same picture.

    picture = draw(Attributes("login", "blue", "dark", "phone"), seed=7, long_side_px=600)

Training, calibration, the demo and the benchmarks use them. All randomness comes from the seed, and
all letters from Pillow's bundled font; another release of Pillow may differ by a pixel.
"""

from __future__ import annotations

import io
import math
import random
from typing import Literal, NamedTuple

from PIL import Image

from model.synthetic.attributes import Attributes, combinations
from model.synthetic.captions import caption
from model.synthetic.screens.box import Box
from model.synthetic.screens.canvas import Canvas
from model.synthetic.screens.devices import DEVICES, picture_size
from model.synthetic.screens.kinds import KINDS
from model.synthetic.screens.theme import make_theme

Format = Literal["JPEG", "PNG", "WEBP"]

# Long side of a thumbnail in px: what apps and pages store, from small to twice a phone's screen.
MIN_SIDE_PX, MAX_SIDE_PX = 400, 1600


class Thumbnail(NamedTuple):
    """An encoded picture with what it shows. mime: as in a Content-Type header."""

    data: bytes
    caption: str
    attributes: Attributes
    mime: str


class _Chosen(NamedTuple):
    """What a seed chooses before anything is drawn. quality: 40..95."""

    attributes: Attributes
    side_px: int
    format: Format
    quality: int
    caption: str


def draw(attributes: Attributes, seed: int, long_side_px: int = 600) -> Image.Image:
    """Draw a screen as RGB. The seed varies everything that the attributes leave open.

    Its attributes can be told from the centre square, which is all that CLIP models see.
    """
    rng = random.Random("/".join((*attributes, str(seed))))
    device = DEVICES[attributes.device]
    width, height = picture_size(device, rng)
    scale = long_side_px / max(width, height)
    theme = make_theme(attributes.colour, attributes.mode, rng)
    size = (round(width * scale), round(height * scale))
    image = Image.new("RGB", size, theme.background)
    canvas = Canvas(image, scale, theme, rng, device.columns)
    picture = Box(0, 0, size[0] / scale, size[1] / scale)
    KINDS[attributes.kind].draw(canvas, device.inner(picture))
    device.frame(canvas, picture)
    return image


def encode(image: Image.Image, image_format: Format = "JPEG", quality: int = 85) -> bytes:
    """Encode a picture. quality: 1..100, of JPEG and WebP; PNG has none."""
    buffer = io.BytesIO()
    if image_format == "PNG":
        image.save(buffer, "PNG", compress_level=1)
    else:
        image.save(buffer, image_format, quality=quality, method=0)  # method is WebP's alone
    return buffer.getvalue()


def sample(seed: int) -> Thumbnail:
    """A thumbnail of any attributes, size (400..1600 px), format and quality; by its seed."""
    chosen = _choose(seed)
    image = draw(chosen.attributes, seed, chosen.side_px)
    data = encode(image, chosen.format, chosen.quality)
    return Thumbnail(data, chosen.caption, chosen.attributes, f"image/{chosen.format.lower()}")


def attributes_of(seed: int) -> Attributes:
    """What `sample(seed)` shows, without drawing it."""
    return _choose(seed).attributes


def caption_of(seed: int) -> str:
    """Return the caption of `sample(seed)`, without drawing it."""
    return _choose(seed).caption


def _choose(seed: int) -> _Chosen:
    rng = random.Random(seed)
    attributes = rng.choice(combinations())
    side_px, image_format = random_side_px(rng), random_format(rng)
    quality = rng.randint(40, 95)
    return _Chosen(attributes, side_px, image_format, quality, caption(attributes, rng))


def random_side_px(rng: random.Random) -> int:
    """A long side in px, small ones more often: even on a logarithmic scale."""
    return round(MIN_SIDE_PX * math.pow(MAX_SIDE_PX / MIN_SIDE_PX, rng.random()))


def random_format(rng: random.Random) -> Format:
    """JPEG three times in four, else WebP or PNG."""
    formats: tuple[Format, ...] = ("JPEG", "WEBP", "PNG")
    return rng.choices(formats, (6, 1, 1))[0]
