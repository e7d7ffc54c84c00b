"""Configurations of image processors: transformers' pixels, or a refusal that names the key."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from model.checkpoints import families
from model.checkpoints.checkpoint import fingerprint, verify
from model.checkpoints.image_processor import read
from model.errors import CheckpointError
from model.images.geometry import FILTERS, Geometry
from model.images.preprocess import preprocess
from tests.checkpoints import make_checkpoint
from tests.images import encode, jpeg, oriented, picture, png, speckles

SIZE = 32
SIDES = range(SIZE, SIZE + 1)
PATH = Path("preprocessor_config.json")
SQUARE = {"height": SIZE, "width": SIZE}
CLIP = {"size": {"shortest_edge": SIZE}, "crop_size": SQUARE}


PROCESSORS = {
    families.CLIP: CLIPImageProcessorPil,
    families.SIGLIP: SiglipImageProcessorPil,
}


def theirs(config, data, processor):
    """uint8 [H, W, 3], and float32 [H, W, 3] after rescaling and normalising."""
    image = Image.open(io.BytesIO(data))
    raw = processor(**config | {"do_rescale": False, "do_normalize": False})
    pixels = raw(image, return_tensors="np")["pixel_values"][0]
    values = processor(**config)(image, return_tensors="np")["pixel_values"][0]
    return pixels.transpose(1, 2, 0), values.transpose(1, 2, 0)


def assert_alike(config, data, family=families.CLIP):
    processor = read(PATH, config, SIDES, family)
    ours = preprocess(data, processor.geometry, "reference")
    pixels, values = theirs(config, data, PROCESSORS[family])
    assert np.array_equal(ours, pixels)
    normalized = (ours / 255 - np.array(processor.mean)) / np.array(processor.std)
    assert np.allclose(normalized, values, rtol=1e-4, atol=1e-4)


ACCEPTED = {
    "OpenAI's": CLIP,
    "numbers, as old versions wrote them": {"size": SIZE, "crop_size": SIZE},
    "a number that means a square": {
        "size": SIZE, "default_to_square": True, "crop_size": SIZE,
    },
    "both sides fixed, as diffusers saves it": {
        "image_processor_type": "CLIPFeatureExtractor", "size": SQUARE, "crop_size": SQUARE,
    },
    "height and width in a list": {"size": [SIZE, SIZE], "crop_size": [SIZE, SIZE]},
    "both sides fixed and no crop": {"size": SQUARE, "do_center_crop": False},
    "a resize larger than the crop": CLIP | {"size": {"shortest_edge": 37}},
    "a rectangle larger than the crop": CLIP | {"size": {"height": 48, "width": 36}},
    "a longest edge that is null": CLIP
    | {"size": {"shortest_edge": SIZE, "longest_edge": None}},
    "bilinear": CLIP | {"resample": 2},
    "Lanczos": CLIP | {"resample": 1},
    "nearest": CLIP | {"resample": 0},
    "box": CLIP | {"resample": 4},
    "Hamming": CLIP | {"resample": 5},
    "null for false": CLIP | {"do_normalize": None, "image_mean": None, "do_pad": None},
    "one number for the three channels": CLIP | {"image_mean": 0.5, "image_std": 0.5},
    "no normalising": CLIP | {"do_normalize": False},
    "no rescaling": CLIP | {"do_rescale": False},
    "neither": CLIP | {"do_rescale": False, "do_normalize": False},
    "another factor": CLIP | {"rescale_factor": 1 / 127.5, "image_mean": 1, "image_std": [1, 1, 1]},
    "1 / 255 with fewer digits": CLIP | {"rescale_factor": 0.00392156862745098},
}  # fmt: skip

PICTURES = {
    "wide": png(75, 40),
    "high": png(33, 90),
    "small": png(5, 9),
    "hard edges": encode(speckles(97, 64)),
}


@pytest.mark.parametrize("picture_name", PICTURES)
@pytest.mark.parametrize(
    "config",
    [{"image_processor_type": "SiglipImageProcessor", "size": SQUARE}, {"size": SQUARE}],
)
def test_what_siglip_uses_becomes_the_pixels_of_transformers(config, picture_name):
    assert_alike(config, PICTURES[picture_name], families.SIGLIP)


@pytest.mark.parametrize("picture_name", PICTURES)
@pytest.mark.parametrize("name", ACCEPTED)
def test_what_checkpoints_use_becomes_the_pixels_of_transformers(name, picture_name):
    assert_alike(ACCEPTED[name], PICTURES[picture_name])


REFUSED = {
    "do_resize": {"do_resize": False},
    "do_pad": {"do_pad": True},
    "do_center_crop": {"do_center_crop": False},
    "do_rescale": {"do_rescale": "no"},
    "do_normalize": {"do_normalize": 0},
    "default_to_square": {"default_to_square": 1},
    "use_square_size": {"use_square_size": "x"},
    "image_processor_type": {"image_processor_type": "ViTImageProcessor"},
    "image_std": {"image_std": [0.5, 0, 0.5]},
    "image_mean": {"image_mean": [0.5, float("nan"), 0.5]},
}
REFUSED_VALUES: dict[str, list[Any]] = {
    "do_convert_rgb": [False, None],
    "size": [
        None, 31, 0, -1, True, 32.0, "32", [32], [32, 32, 32], {}, {"shortest_edge": "32"},
        {"shortest_edge": 16}, {"longest_edge": 32}, {"shortest_edge": 32, "longest_edge": 40},
        {"height": 32}, {"height": 32, "width": None}, {"max_height": 32, "max_width": 32},
        {"min_pixels": 1, "max_pixels": 1024}, {"shortest_edge": 32, "height": 32, "width": 32},
        {"shortest_edge": 1_000_000}, {"height": 40, "width": 31},
    ],
    "crop_size": [
        None, 48, 31, False, [32], {"shortest_edge": 32}, {"longest_edge": 32}, {"height": 32},
        {"height": 32, "width": 33},
    ],
    "resample": [None, 6, -1, 3.0, True, "bicubic"],
    "rescale_factor": [None, 0, -1, float("nan"), float("inf"), "1/255", True, 1e300],
    "image_mean": [[0.5], [0.5, 0.5], "mean", [0.5, "x", 0.5], [[0.5, 0.5, 0.5]]],
    "image_std": [None, 0, -0.5, [0.5], [0.5, 0.5, -0.5]],
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "change"),
    [
        *REFUSED.items(),
        *((key, {key: value}) for key, values in REFUSED_VALUES.items() for value in values),
    ],
)
def test_what_cannot_be_followed_is_refused_by_its_key_and_value(key, change):
    with pytest.raises(CheckpointError) as caught:
        read(PATH, CLIP | change, SIDES, families.CLIP)
    assert f'preprocessor_config.json: "{key}" is {json.dumps(change[key])}: ' in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"size": SIZE}, '"crop_size" is {"height": 224, "width": 224} by default'),
        ({"size": [[]] * 1000, "crop_size": SIZE}, r'\.\.\.: it is not a supported form'),
    ],
)  # fmt: skip
def test_a_refusal_says_what_a_key_is_by_default_and_stays_short(config, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        read(PATH, config, SIDES, families.CLIP)
    assert len(str(caught.value)) < 250


odd_side = st.one_of(st.integers(24, 64), st.sampled_from([0, None, 32.0]))
odd_size = st.one_of(
    odd_side,
    st.lists(odd_side, min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(["height", "width", "shortest_edge", "max_width"]), odd_side),
    st.fixed_dictionaries({"shortest_edge": odd_side, "longest_edge": odd_side}),
    st.fixed_dictionaries({"longest_edge": odd_side}),
)
larger = st.integers(SIZE, 70)
sizes = st.one_of(
    larger,
    st.just(SQUARE),
    st.fixed_dictionaries({"shortest_edge": larger}),
    st.fixed_dictionaries({"height": larger, "width": larger}),
)
positive = st.floats(0.1, 2)


def mostly(usual, odd):
    """One draw of eight is odd: most configurations are followed and their pixels compared."""
    return st.integers(0, 7).flatmap(lambda number: odd if number == 7 else usual)


def flag(*usual):
    return mostly(st.sampled_from(usual), st.sampled_from([True, False, None]))


def channels(usual):
    several = st.lists(usual, min_size=3, max_size=3)
    return mostly(st.one_of(usual, several), st.one_of(st.none(), st.floats(-2, 0)))


configurations = st.fixed_dictionaries(
    {
        "size": mostly(sizes, odd_size),
        "crop_size": mostly(st.sampled_from([SIZE, SQUARE]), odd_size),
    },
    optional={
        "default_to_square": flag(True, False),
        "do_resize": flag(True),
        "do_center_crop": flag(True),
        "do_rescale": flag(True, False),
        "do_normalize": flag(True, False),
        "do_convert_rgb": flag(True),
        "do_pad": flag(False, None),
        "use_square_size": flag(False),
        "resample": mostly(st.integers(0, 5), st.sampled_from([6, None, 3.0])),
        "rescale_factor": mostly(
            st.sampled_from([1 / 255, 0.00392156862745098, 1 / 127.5, 1]),
            st.sampled_from([None, 0]),
        ),
        "image_mean": channels(st.floats(-2, 2)),
        "image_std": channels(positive),
    },
)


@pytest.mark.parametrize("family", PROCESSORS, ids=lambda family: family.words)
@given(config=configurations, width=st.integers(1, 150), height=st.integers(1, 150))
def test_any_configuration_gives_the_pixels_of_transformers_or_is_refused_by_name(
    family, config, width, height
):
    try:
        read(PATH, config, SIDES, family)
    except CheckpointError as exc:
        key = str(exc).split('"')[1]
        assert key in config or key in family.image_defaults
        assert json.dumps(config.get(key, family.image_defaults.get(key))) in str(exc)
    else:
        assert_alike(config, encode(picture(width, height)), family)


JUMPING = {"nearest", "box"}
geometries = st.builds(
    Geometry,
    size=st.just(SIZE),
    resize=st.one_of(larger, st.tuples(larger, larger)),
    filter=st.sampled_from(FILTERS),
)


@pytest.mark.parametrize("light", [False, True])
@given(geometry=geometries, width=st.integers(2, 300), height=st.integers(2, 300))
def test_display_follows_the_same_geometry_and_filter(light, geometry, width, height):
    """Nearest and box jump at the edges of px, where rounding may choose a neighbour."""
    image = gradient(width, height) if geometry.filter in JUMPING else picture(width, height)
    data = encode(image)
    ours = preprocess(data, geometry, light=light).astype(int)
    apart = np.abs(ours - preprocess(data, geometry, "reference")).max(axis=(0, 1))
    a_pixel_aside = np.ceil([255 / (width - 1), 255 / (height - 1), 0])
    assert np.all(apart <= 2 + a_pixel_aside * (geometry.filter in JUMPING))


def gradient(width, height):
    """Red grows across, green down: 0 to 255."""
    red = np.linspace(0, 255, width)[None, :, None]
    green = np.linspace(0, 255, height)[:, None, None]
    pixels = np.broadcast_arrays(red, green, np.zeros((1, 1, 1)))
    return Image.fromarray(np.concatenate(pixels, axis=2).astype(np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_display_fixes_the_sides_of_the_picture_as_it_is_seen(orientation):
    """A rectangle is turned with the picture that is stored on its side."""
    geometry = Geometry(SIZE, (SIZE, 2 * SIZE))
    stored = oriented(orientation)
    upright = preprocess(stored, geometry)
    plain = Image.open(io.BytesIO(stored))
    turned = encode(ImageOps.exif_transpose(plain))
    assert np.abs(upright.astype(int) - preprocess(turned, geometry)).max() <= 2


def test_a_large_jpeg_keeps_what_a_larger_resize_needs():
    """A crop of 32 out of 256 must not be taken from a picture decoded to 64."""
    data = jpeg(1024, 1024)
    whole = encode(Image.open(io.BytesIO(data)).convert("RGB"))
    for filter_name in ("bicubic", "nearest"):
        geometry = Geometry(SIZE, 256, filter_name)
        apart = np.abs(preprocess(data, geometry).astype(int) - preprocess(whole, geometry))
        assert apart.mean() < 1


def test_the_fingerprint_tells_geometries_apart(tmp_path):
    folder = make_checkpoint(tmp_path / "one")
    file = folder / "preprocessor_config.json"
    plain = json.loads(file.read_text())
    found = set()
    for change in (
        {},
        {"size": SQUARE},
        {"size": {"shortest_edge": 40}},
        {"resample": 2},
        {"rescale_factor": 1},
    ):
        file.write_text(json.dumps(plain | change))
        found.add(fingerprint(verify(folder), "display-2"))
    assert len(found) == 5


def test_a_processor_saved_as_one_file_goes_before_the_file_of_its_own(tmp_path):
    """As transformers 5 looks for them; it holds for a checkpoint that has both."""
    folder = make_checkpoint(tmp_path / "one")
    own = json.loads((folder / "preprocessor_config.json").read_text())
    whole = folder / "processor_config.json"
    whole.write_text(json.dumps({"image_processor": own | {"resample": 2}}))
    assert CLIPImageProcessorPil.from_pretrained(folder).resample == 2
    assert verify(folder).geometry.filter == "bilinear"
    whole.write_text(json.dumps({"processor_class": "CLIPProcessor"}))
    assert CLIPImageProcessorPil.from_pretrained(folder).resample == 3
    assert verify(folder).geometry.filter == "bicubic"
