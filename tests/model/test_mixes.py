"""The images that benchmarks send."""

import io
from collections import Counter

import pytest
from PIL import Image

from model.synthetic.mixes import MIXES


def opened(picture):
    return Image.open(io.BytesIO(picture.data))


@pytest.mark.parametrize("name", MIXES)
def test_the_same_seed_gives_the_same_picture_and_another_seed_another(name):
    draw = MIXES[name].draw
    assert draw(3) == draw(3) != draw(4)


@pytest.mark.parametrize(
    ("name", "formats", "low", "high"),
    [
        ("thumbnails", {"JPEG", "PNG", "WEBP"}, 400, 1600),
        ("small", {"JPEG"}, 256, 400),
        ("photos", {"JPEG"}, 1600, 4000),
        ("png", {"PNG"}, 1280, 1600),
        ("mixed", {"JPEG", "PNG", "WEBP"}, 400, 1600),
    ],
)
def test_pictures_have_the_format_and_size_that_their_mix_announces(name, formats, low, high):
    pictures = [MIXES[name].draw(seed) for seed in range(5)]
    images = [opened(one) for one in pictures]
    assert {image.format for image in images} <= formats
    assert [f"image/{image.format.lower()}" for image in images] == [one.mime for one in pictures]
    assert all(low <= max(image.size) <= high for image in images)


def test_a_photo_has_as_many_bits_a_pixel_as_cameras_write():
    """Cameras' JPEGs of this quality have between 1.5 and 4."""
    for seed in range(3):
        picture = MIXES["photos"].draw(seed)
        width, height = opened(picture).size
        assert 1.5 < 8 * len(picture.data) / (width * height) < 4
        assert opened(picture).convert("HSV").getextrema()[1][1] > 50


def test_of_20_mixed_pictures_each_kind_has_its_share():
    images = [opened(MIXES["mixed"].draw(seed)) for seed in range(20, 40)]
    assert Counter((image.format, image.size) for image in images) == {
        ("JPEG", (800, 600)): 10,
        ("PNG", (400, 300)): 5,
        ("WEBP", (800, 600)): 3,
        ("JPEG", (1600, 1200)): 2,
    }
