"""Bytes to pixels: both policies, odd images, damaged images, bounds."""

import io
import re
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps, PngImagePlugin
from PIL.JpegImagePlugin import JpegImageFile
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from model.errors import DecodeError, TooManyPixels
from model.images.preprocess import BAND_PIXELS, DEFAULT_MAX_PIXELS, preprocess
from model.synthetic.mixes import thumbnail
from tests.images import (
    animated,
    damaged_images,
    encode,
    grey16,
    jpeg,
    odd_images,
    oriented,
    picture,
    png,
    png_with_size,
    speckles,
)

ROOT = Path(__file__).parents[2]
SIZE = 32
ODD, DAMAGED = odd_images(), damaged_images()


def reference_pixels(data, size):
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": size}, crop_size=size, do_rescale=False, do_normalize=False
    )
    batch = processor(Image.open(io.BytesIO(data)), return_tensors="np")
    return batch["pixel_values"][0].transpose(1, 2, 0)


def difference(one, other):
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize("name", ODD)
def test_an_odd_image_becomes_pixels(name):
    """Whatever the mode, format, page count or shape: uint8 [S, S, 3]."""
    pixels = preprocess(ODD[name], SIZE)
    assert pixels.shape == (SIZE, SIZE, 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("policy", ["display", "reference"])
@pytest.mark.parametrize("name", ODD)
def test_the_size_is_told_once_as_a_viewer_shows_the_picture(name, policy):
    told = []

    def tell_size(*size):
        told.append(size)

    try:
        preprocess(ODD[name], SIZE, policy, tell_size=tell_size)
    except DecodeError:  # `reference` refuses thin ones
        assert told == []
    else:
        assert told == [ImageOps.exif_transpose(Image.open(io.BytesIO(ODD[name]))).size]


def test_the_size_is_that_of_the_whole_picture_and_not_of_the_part_that_is_decoded():
    told = []
    preprocess(oriented(6, 1200, 900), SIZE, tell_size=lambda *size: told.append(size))
    assert told == [(900, 1200)]


@pytest.mark.parametrize("policy", ["display", "reference"])
@pytest.mark.parametrize("name", DAMAGED)
def test_no_size_is_told_of_a_damaged_image(name, policy):
    told = []
    with pytest.raises(DecodeError):
        preprocess(DAMAGED[name][0], SIZE, policy, tell_size=lambda *size: told.append(size))
    assert told == []


@pytest.mark.parametrize("policy", ["display", "reference"])
@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_image_fails_with_its_code(name, policy):
    data, code = DAMAGED[name]
    with pytest.raises(DecodeError) as caught:
        preprocess(data, SIZE, policy)
    assert caught.value.code == code
    message = str(caught.value)
    assert len(message) < 250
    assert not re.search(r"0x[0-9a-f]{4}|/\w+/|\.py|Traceback", message)


@pytest.mark.parametrize("name", sorted(ODD))
def test_reference_is_the_reference_to_the_pixel(name):
    """Where transformers has pixels, they are ours; where it has none, a clean code."""
    try:
        ours = preprocess(ODD[name], SIZE, "reference")
    except DecodeError:
        with pytest.raises(Exception):  # noqa: B017, PT011 - any type: Pillow's
            reference_pixels(ODD[name], SIZE)
    else:
        assert difference(ours, reference_pixels(ODD[name], SIZE)) == 0


@given(width=st.integers(1, 300), height=st.integers(1, 300), size=st.sampled_from([7, 32, 224]))
def test_reference_has_the_geometry_of_the_reference(width, height, size):
    data = png(width, height)
    assert difference(preprocess(data, size, "reference"), reference_pixels(data, size)) == 0


@pytest.mark.parametrize("light", [False, True])
@given(
    width=st.integers(1, 400),
    height=st.integers(1, 400),
    size=st.sampled_from([16, 32, 64]),
    hard=st.booleans(),
)
def test_display_agrees_with_the_reference_whatever_the_shape(light, width, height, size, hard):
    """Also where every pixel is black or white at random, which shows the order of the passes."""
    data = encode(speckles(width, height)) if hard else png(width, height)
    ours, theirs = preprocess(data, size, light=light), preprocess(data, size, "reference")
    assert ours.shape == (size, size, 3)
    assert difference(ours, theirs) <= 2
    # A tiny picture blown up rounds alike all over; thumbnails are held to 0.1 below.
    assert np.abs(ours.astype(int) - theirs).mean() < 0.3
    assert np.array_equal(ours, preprocess(data, size, light=light))


def test_display_agrees_with_the_reference_on_thumbnails():
    """At 224 px, of all formats; those that are decoded to a fraction are left out."""
    for seed in range(40):
        data = thumbnail(seed).data
        if min(Image.open(io.BytesIO(data)).size) >= 4 * 224:
            continue
        ours, theirs = preprocess(data, 224), preprocess(data, 224, "reference")
        assert difference(ours, theirs) <= 2
        assert np.abs(ours.astype(int) - theirs).mean() < 0.1


def test_torch_is_imported_only_by_a_resize_that_needs_it():
    """A start of the fake encoder, or a tool that reads headers, does not wait for it."""
    code = """if True:
        import sys
        from model.backends.fake import FakeEncoder
        from model.images.preprocess import preprocess
        from tests.images import png
        FakeEncoder().spec.preprocessing(png())
        preprocess(png(), 32, "reference")
        assert "torch" not in sys.modules
        preprocess(png(), 32)
        assert "torch" in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_display_applies_the_orientation_and_reference_does_not(orientation):
    stored = Image.open(io.BytesIO(oriented(orientation)))
    turns = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_270],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_90],
    }
    shown = stored
    for turn in turns.get(orientation, []):
        shown = shown.transpose(turn)
    data = oriented(orientation)
    assert difference(preprocess(data, SIZE), preprocess(encode(shown), SIZE)) <= 1
    assert difference(preprocess(data, SIZE, "reference"), reference_pixels(data, SIZE)) == 0


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_shows_as_white(image_format):
    image = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    assert preprocess(encode(image, image_format), SIZE).min() == 255


def test_display_scales_16_bit_grey_to_8():
    """A ramp from black to white stays a ramp; Pillow's own conversion would clip it to white."""
    pixels = preprocess(grey16(), SIZE)
    assert pixels.min() < 20
    assert pixels.max() > 235
    assert 110 < pixels.mean() < 145


def test_a_picture_of_floats_is_clipped_whatever_they_are():
    """Found by `make fuzz`: the largest overflowed, with a warning of NumPy's for each."""
    values = np.full((30, 30), 0.5, dtype=np.float32)
    values[:, 20:] = np.finfo(np.float32).max
    values[:, :10] = -np.inf
    values[15, 15] = np.nan
    pixels = preprocess(encode(Image.fromarray(values), "TIFF"), SIZE)
    assert pixels[5, 2].tolist() == [0, 0, 0]
    assert pixels[5, 16].tolist() == [127, 127, 127]
    assert pixels[5, 30].tolist() == [255, 255, 255]


def test_only_the_first_frame_of_an_animation_counts():
    frames = [Image.new("RGB", (30, 30), colour) for colour in ("blue", "red")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert preprocess(data, SIZE)[5, 5].tolist() == [0, 0, 255]


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "AVIF", "TIFF", "MPO"])
def test_later_frames_are_not_even_decoded(image_format):
    """However many there are: the last one here is damaged."""
    whole = animated(image_format)
    last = 9 * len(whole) // 10
    damaged = (
        whole[:last] + bytes(byte ^ 0x5A for byte in whole[last : last + 60]) + whole[last + 60 :]
    )
    assert damaged != whole
    assert np.array_equal(preprocess(damaged, SIZE), preprocess(whole, SIZE))


def test_pillows_own_limits_stand_behind_ours():
    assert Image.MAX_IMAGE_PIXELS < 2 * DEFAULT_MAX_PIXELS
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    assert PngImagePlugin.MAX_TEXT_CHUNK == 2**20
    assert PngImagePlugin.MAX_TEXT_MEMORY == 64 * 2**20


def test_the_pixel_limit_is_checked_before_decoding():
    """This file has no pixel data at all: only its header can have been read."""
    with pytest.raises(TooManyPixels, match="8000 x 8000"):
        preprocess(png_with_size(8000, 8000), SIZE)


def test_the_pixel_limit_is_the_callers():
    preprocess(png(10, 10), SIZE, max_pixels=100)
    with pytest.raises(TooManyPixels):
        preprocess(png(10, 11), SIZE, max_pixels=100)


def test_a_jpeg_of_thousands_of_scans_is_refused_before_decoding():
    """Its last scan, some 75 bytes, again and again: each costs a pass over all pixels."""
    data = jpeg(640, 480, progressive=True)
    last = data.rindex(b"\xff\xda")
    assert preprocess(data, SIZE).shape == (SIZE, SIZE, 3)
    with pytest.raises(TooManyPixels, match="scans"):
        preprocess(data[:-2] + data[last:-2] * 2000 + data[-2:], SIZE)


def test_a_large_jpeg_is_decoded_to_a_fraction(monkeypatch):
    """Exactly to twice the size asked for at least; a px less, and it is decoded whole."""
    decoded = []
    load = JpegImageFile.load

    def noting(self):
        pixel_access = load(self)
        decoded.append(self.size)
        return pixel_access

    monkeypatch.setattr(JpegImageFile, "load", noting)
    for sides in ((128, 200), (127, 200), (1024, 513), (1031, 515)):
        preprocess(jpeg(*sides), SIZE)
    assert list(dict.fromkeys(decoded)) == [(64, 100), (127, 200), (128, 65), (129, 65)]


@given(width=st.integers(128, 700), height=st.integers(128, 700), orientation=st.integers(1, 8))
def test_scaled_decode_keeps_geometry_and_orientation(width, height, orientation):
    """Smooth pictures of odd sides: a shift by half a px would be seen, a wrong turn all the more.

    Compared with the same JPEG decoded whole, by its pixels in another format.
    """
    data = oriented(orientation, width, height)
    whole = encode(ImageOps.exif_transpose(Image.open(io.BytesIO(data))), "BMP")
    apart = np.abs(preprocess(data, SIZE).astype(int) - preprocess(whole, SIZE))
    assert apart.mean() < 2
    assert np.percentile(apart, 99) < 10


def test_the_pixel_limit_holds_for_the_size_before_a_scaled_decode():
    with pytest.raises(TooManyPixels, match="600 x 400"):
        preprocess(jpeg(600, 400), SIZE, max_pixels=600 * 400 - 1)
    preprocess(jpeg(600, 400), SIZE, max_pixels=600 * 400)


def test_an_image_in_pieces_of_memory_becomes_the_same_pixels():
    """Pillow holds more than 16 MiB in several blocks."""
    data = encode(picture(2300, 2200), "BMP")
    assert difference(preprocess(data, 64), preprocess(data, 64, "reference")) <= 2


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I", "CMYK"])
def test_a_large_picture_is_converted_in_bands_to_the_same_pixels(mode):
    image = picture(2100, 2050, mode)
    options = {"transparency": 3} if mode == "P" else {"compression": "tiff_lzw"}
    data = encode(image, "PNG" if mode == "P" else "TIFF", **options)
    assert image.width * image.height > BAND_PIXELS
    assert difference(preprocess(data, SIZE, "reference"), reference_pixels(data, SIZE)) == 0
    if mode != "I":
        assert difference(preprocess(data, SIZE), preprocess(data, SIZE, "reference")) <= 2


def test_many_threads_give_the_same_pixels():
    images = [thumbnail(seed).data for seed in range(8)]
    alone = [preprocess(data, 224) for data in images]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            together = list(pool.map(lambda data: preprocess(data, 224), images))
            assert all(np.array_equal(*pair) for pair in zip(alone, together, strict=True))


def test_a_thin_picture_costs_little_by_display_and_is_refused_by_reference():
    """The reference would make 224 x 1,120,000 pixels of it."""
    data = png(1, 5000)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert preprocess(data, 224).shape == (224, 224, 3)
    with pytest.raises(TooManyPixels, match="resizes to"):
        preprocess(data, 224, "reference")
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert grown_kib < 100 * 1024


@given(cut=st.integers(0, 3000), flips=st.lists(st.integers(0, 3000), max_size=20))
def test_no_damage_raises_anything_but_our_errors(cut, flips):
    for data in (jpeg(80, 60), png(80, 60), encode(picture(80, 60), "WEBP")):
        damaged = bytearray(data[: max(1, len(data) - cut)])
        for position in flips:
            damaged[position % len(damaged)] ^= 0xFF
        try:
            assert preprocess(bytes(damaged), SIZE).shape == (SIZE, SIZE, 3)
        except DecodeError as exc:
            assert exc.code.startswith("decode_")


def test_the_whole_folder_of_odd_and_damaged_images_stays_within_its_bounds():
    """At least 40 of them, in a bounded time and memory, and none ends the process."""
    everything = list(ODD.values()) + [data for data, _ in DAMAGED.values()]
    assert len(everything) >= 40
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start_s = time.process_time()
    for data in everything:
        try:
            preprocess(data, 224)
        except DecodeError:
            continue
    # CPU seconds, not wall clock: 10 times what it took on a 2-core machine.
    assert time.process_time() - start_s < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 300 * 1024
