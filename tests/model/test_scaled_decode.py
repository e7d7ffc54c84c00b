"""A large JPEG decoded to a fraction of its size must mean the same to the model."""

import io
import random

import numpy as np
from PIL import Image

from model.config import ModelConfig
from model.fidelity.cosines import fidelity
from model.load import load
from model.synthetic.attributes import combinations
from model.synthetic.mixes import photo, thumbnail
from model.synthetic.thumbnails import draw, encode
from tests.images import encode as encode_as


def screen(seed):
    """A screen of 1600 to 3200 px as JPEG, of any quality that thumbnails have."""
    dice = random.Random(seed)
    image = draw(dice.choice(combinations()), seed, dice.randint(1600, 3200))
    return encode(image, "JPEG", dice.randint(40, 95))


def decoded_whole(data):
    """The same picture in a format that knows no scaled decode."""
    return encode_as(Image.open(io.BytesIO(data)).convert("RGB"), "BMP")


def is_scaled(data, size):
    """Both sides at least twice the size asked for when halved."""
    image = Image.open(io.BytesIO(data))
    return image.format == "JPEG" and min(image.size) >= 4 * size


def test_a_scaled_decode_leaves_embeddings_where_they_are():
    """Cosine to full decode, plain and with the set's mean subtracted, of the worst picture."""
    encoder = load(ModelConfig(model="builtin", device="cpu"))
    size = encoder.spec.image_size
    images = [photo(seed).data for seed in range(6)] + [screen(seed) for seed in range(24)]
    images += [thumbnail(seed).data for seed in range(60)]
    scaled = [data for data in images if is_scaled(data, size)]
    assert len(scaled) >= 40

    ours = encoder.encode_images(np.stack([encoder.spec.preprocessing(data) for data in scaled]))
    full = [encoder.spec.preprocessing(decoded_whole(data)) for data in scaled]
    whole = encoder.encode_images(np.stack(full))
    found = fidelity(ours, whole)
    assert found.plain.min >= 0.999
    assert found.centred.min >= 0.99
