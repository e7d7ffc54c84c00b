"""What costs out of all proportion is refused by its header; what only looks so is not."""

import pytest

from model.errors import DecodeError, TooManyPixels
from model.images.headers import MAX_JPEG_SEGMENTS, MAX_PNG_TEXTS
from model.images.preprocess import preprocess
from tests.hostile_images import (
    LONG,
    MAX_IMAGE_BYTES,
    REFUSED,
    costly,
    grey_tiff,
    jpeg_with,
    png_with,
    segment,
    text_chunk,
)
from tests.images import encode, oriented, picture, png_chunk

SIZE = 32


@pytest.mark.parametrize("name", REFUSED)
def test_a_small_file_of_a_large_cost_is_refused(name):
    data = REFUSED[name]()
    assert len(data) <= MAX_IMAGE_BYTES
    # The reference reads no EXIF of these formats.
    for policy in ["display"] if name in {"exif.webp", "exif.png"} else ["display", "reference"]:
        with pytest.raises(TooManyPixels) as caught:
            preprocess(data, SIZE, policy)
        assert len(str(caught.value)) < 250


@pytest.mark.parametrize("name", costly())
def test_what_costs_much_for_its_size_alone_is_decoded(name):
    assert preprocess(costly(side=300)[name](), SIZE).shape == (SIZE, SIZE, 3)


@pytest.mark.parametrize(
    "data",
    [
        jpeg_with(segment(0xE2, bytes(60_000)) * 300),
        jpeg_with(segment(0xFE, b"") * (MAX_JPEG_SEGMENTS - 20)),
        jpeg_with(segment(0xFE, b"") + bytes(5000)),
        png_with(text_chunk(b"zTXt", b"a\0\0") * 50),
        png_with(text_chunk(b"iCCP", b"a\0\0") * MAX_PNG_TEXTS),
        png_with(png_chunk(b"prVt", b"") * 1000),
        encode(picture(64, 2000), "TIFF", strip_size=1),
        grey_tiff(1, 7000, (278, LONG, 1, 1), data=bytes(100)),
        encode(picture(8, 8), "GIF", comment=b"c" * 100_000),
        png_with(text_chunk(b"zTXt", b"exif\0\0")),
    ],
)
def test_much_metadata_is_no_cost(data):
    assert preprocess(data, SIZE).shape == (SIZE, SIZE, 3)


def test_a_tag_that_claims_more_than_the_file_holds_is_passed_over():
    """As Pillow does: some camera wrote it."""
    claim = (60_000, LONG, 2**31, 8)
    assert preprocess(grey_tiff(1, 1, claim), SIZE).shape == (SIZE, SIZE, 3)


def test_a_directory_without_an_end_is_read_as_far_as_it_goes():
    whole = oriented(6)
    start = whole.index(b"Exif\0\0") + 6
    for cut in range(start, start + 40):
        damaged = whole[:cut] + bytes(len(whole) - cut)
        with pytest.raises(DecodeError):
            preprocess(damaged, SIZE)


def test_a_damaged_tiff_prints_nothing(capfd):
    """libtiff has a line on standard error for each row that it cannot read."""
    whole = encode(picture(40, 400, "1"), "TIFF", compression="group4")
    damaged = whole[:8] + bytes(byte ^ 0x5A for byte in whole[8:400]) + whole[400:]
    preprocess(damaged, SIZE)
    assert capfd.readouterr().err == ""
