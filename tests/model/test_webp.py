"""libwebp called directly gives the pixels of Pillow's decoder, and none where Pillow fails."""

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.images.webp import decode_first_frame
from tests.fuzz.mutate import mutated
from tests.fuzz.seeds import webps
from tests.images import ORIENTATION, encode, picture, speckles

SIDES = st.integers(1, 90)
QUALITIES = st.sampled_from([0, 1, 30, 75, 100])
PROFILE = b"a profile of any length"


def opened(data):
    """None if Pillow refuses the file."""
    try:
        return Image.open(io.BytesIO(data), formats=["WEBP"])
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def loaded(data):
    """By Pillow; None if it fails."""
    image = opened(data)
    try:
        image.load()
    except (OSError, ValueError, SyntaxError):
        return None
    return image


def agrees(data):
    """Whether both decode to the same, or both fail. What Pillow refuses to open is left out."""
    image = opened(data)
    if image is None or image.width * image.height > 10**7:
        return True
    ours, theirs = decode_first_frame(image, data), loaded(data)
    if ours is None or theirs is None:
        return ours is theirs
    return ours.mode == theirs.mode and np.array_equal(np.asarray(ours), np.asarray(theirs))


def exif():
    tags = Image.Exif()
    tags[ORIENTATION] = 6
    return tags


METADATA = st.fixed_dictionaries(
    {}, optional={"exif": st.just(exif()), "icc_profile": st.just(PROFILE), "xmp": st.just(b"x")}
)


@st.composite
def files(draw):
    """Lossy and lossless, with and without alpha and metadata."""
    width, height = draw(SIDES), draw(SIDES)
    image = speckles(width, height) if draw(st.booleans()) else picture(width, height)
    if draw(st.booleans()):
        image.putalpha(picture(width, height, "L", seed=1))
    return encode(
        image,
        "WEBP",
        lossless=draw(st.booleans()),
        quality=draw(QUALITIES),
        alpha_quality=draw(QUALITIES),
        exact=draw(st.booleans()),
        **draw(METADATA),
    )


@given(data=files())
def test_a_whole_file_becomes_the_same_pixels(data):
    assert decode_first_frame(opened(data), data) is not None
    assert agrees(data)


def test_an_image_in_pieces_of_memory_becomes_the_same_pixels():
    """Pillow holds more than 16 MiB in several blocks."""
    for mode in ("RGB", "RGBA"):
        assert agrees(encode(picture(2300, 2200, mode), "WEBP", method=0))


@given(
    frames=st.lists(st.tuples(st.sampled_from(["RGB", "RGBA"]), st.integers(0, 9)), min_size=2),
    lossless=st.booleans(),
    background=st.tuples(*[st.integers(0, 255)] * 4),
)
def test_an_animation_becomes_its_first_frame(frames, lossless, background):
    first, *others = (picture(40, 30, mode, seed) for mode, seed in frames)
    data = encode(
        first, "WEBP", save_all=True, append_images=others, lossless=lossless, background=background
    )
    assert decode_first_frame(opened(data), data) is not None
    assert agrees(data)


def frame_at(x, y, mode="RGBA"):
    """An animation of one frame, 40 x 30 px, at a place of a canvas of 100 x 80 px."""
    chunks = encode(picture(40, 30, mode), "WEBP", lossless=True)[12:]
    sides = b"".join(number.to_bytes(3, "little") for number in (x // 2, y // 2, 39, 29, 100))
    frame = sides + b"\0" + chunks
    canvas = b"\x12\0\0\0" + (99).to_bytes(3, "little") + (79).to_bytes(3, "little")
    body = b"WEBP" + chunk(b"VP8X", canvas) + chunk(b"ANIM", b"\x10\x20\x30\x40\0\0")
    body += chunk(b"ANMF", frame)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def chunk(kind, data):
    return kind + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2)


def test_a_frame_smaller_than_its_canvas_lies_at_its_place():
    for x, y in ((0, 0), (60, 0), (0, 50), (60, 50), (20, 10)):
        data = frame_at(x, y)
        ours = decode_first_frame(opened(data), data)
        assert ours.getbbox() == (x, y, x + 40, y + 30)
        assert agrees(data)
    for x, y in ((62, 0), (0, 52), (2**20, 0)):
        assert opened(frame_at(x, y)) is None


def test_a_file_cut_anywhere_fails_on_both_sides():
    for data in webps().values():
        for end in range(len(data)):
            assert agrees(data[:end])
            assert decode_first_frame(opened(data), data[:end]) is None
        assert agrees(data + data)


@given(data=files(), changes=st.lists(st.tuples(st.integers(0), st.binary(min_size=1, max_size=1))))
def test_a_changed_file_becomes_the_same_or_fails_on_both_sides(data, changes):
    changed = bytearray(data)
    for number, (place, byte) in enumerate(changes):
        # Half of them in the headers, where they change what the rest means.
        at = place % (40 if number % 2 else len(changed))
        changed[at % len(changed)] = byte[0]
    assert agrees(bytes(changed))


def test_a_mutated_file_becomes_the_same_or_fails_on_both_sides():
    """Chunks dropped, repeated and moved, numbers that lie."""
    found = [case.data for case in (mutated(3, number) for number in range(3000))]
    found = [data for data in found if data[8:12] == b"WEBP" and opened(data)]
    assert len(found) > 100
    assert all(map(agrees, found))
