"""Pixels without a copy: the same ones, and for as long as they are looked at."""

import numpy as np
import pytest
from PIL import Image

from model.images.zero_copy_pixels import zero_copy_pixels
from tests.images import speckles


@pytest.mark.parametrize("sides", [(1, 1), (101, 77), (2048, 2048), (2049, 2048)])
def test_borrowed_pixels_are_the_images(sides):
    """2048 x 2048 is the largest that Pillow holds in one piece of memory."""
    image = speckles(*sides)
    with zero_copy_pixels(image) as pixels:
        assert np.array_equal(pixels[..., :3], np.asarray(image))


def test_nothing_is_copied_up_to_16_mib():
    image = Image.new("RGB", (50, 40))
    with zero_copy_pixels(image) as pixels:
        image.putpixel((3, 2), (7, 8, 9))
        assert pixels[2, 3, :3].tolist() == [7, 8, 9]


def test_the_memory_lives_as_long_as_it_is_borrowed():
    with zero_copy_pixels(Image.new("RGB", (500, 400), (1, 2, 3))) as pixels:
        others = [Image.new("RGB", (500, 400), (9, 9, 9)) for _ in range(20)]
        assert (pixels[..., :3] == (1, 2, 3)).all()
        assert others
