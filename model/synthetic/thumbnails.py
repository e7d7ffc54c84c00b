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
    rng = random.Random(seed)
    attributes = rng.choice(combinations())
    image = draw(attributes, seed, random_side_px(rng))
    image_format = random_format(rng)
    data = encode(image, image_format, rng.randint(40, 95))
    return Thumbnail(data, caption(attributes, rng), attributes, f"image/{image_format.lower()}")


def attributes_of(seed: int) -> Attributes:
    """What `sample(seed)` shows, without drawing it."""
    return random.Random(seed).choice(combinations())


def random_side_px(rng: random.Random) -> int:
    """A long side in px, small ones more often: even on a logarithmic scale."""
    return round(MIN_SIDE_PX * math.pow(MAX_SIDE_PX / MIN_SIDE_PX, rng.random()))


def random_format(rng: random.Random) -> Format:
    """JPEG three times in four, else WebP or PNG."""
    formats: tuple[Format, ...] = ("JPEG", "WEBP", "PNG")
    return rng.choices(formats, (6, 1, 1))[0]
