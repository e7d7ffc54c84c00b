"""Every back end and precision against transformers: the same vector, or its stated floors."""

import pytest

from model.checkpoints.checkpoint import BUILTIN_FOLDER
from model.config import ModelConfig
from model.fidelity.check import check
from model.fidelity.parity import Reference, compare
from model.load import load
from model.synthetic.thumbnails import sample
from tests.checkpoints import (
    CONVNEXT_SIZES,
    RESNET_SIZES,
    SIGLIP_SIZES,
    make_checkpoint,
    make_convnext,
    make_resnet,
    make_siglip,
)
from tests.images import odd_images

TEXTS = ["a login form", "dark dashboard with a bar chart, on a tablet", "?", "ü" * 300]
ODD = ("cmyk.jpg", "palette-alpha.png", "exif-6.jpg")
OTHERS = ("siglip", "siglip2", "siglip-spare", "resnet", "convnext", "convnext-mlp")
LARGE = (
    "vit-b-32", "vit-b-16", "vit-l-14", "siglip-base", "siglip2-base", "rn50", "rn50x4",
    "convnext-base-w",
)  # fmt: skip
FULL = [pytest.param(size, marks=pytest.mark.full) for size in LARGE]


@pytest.fixture(scope="module")
def images():
    return [sample(seed).data for seed in range(3)] + [odd_images()[name] for name in ODD]


def checkpoint_of(size, folder):
    if size == "builtin":
        return BUILTIN_FOLDER
    if size in SIGLIP_SIZES:
        return make_siglip(folder / size, size)
    if size in CONVNEXT_SIZES:
        return make_convnext(folder / size, size)
    make = make_resnet if size in RESNET_SIZES else make_checkpoint
    return make(folder / size, size)


@pytest.mark.parametrize("size", ["builtin", "small", "siglip", "resnet", *FULL])
def test_every_back_end_keeps_its_floors(size, tmp_path):
    config = ModelConfig(model=str(checkpoint_of(size, tmp_path)), device="cpu")
    rows = list(check(config, 32))
    for row in rows:
        print(size, row)
    assert {(row.spec.backend, row.spec.precision) for row in rows} >= {
        ("torch", "float32"),
        ("openvino", "float32"),
    }
    assert not any(row.below for row in rows)


@pytest.mark.parametrize("backend", ["torch", "openvino"])
@pytest.mark.parametrize("size", ["builtin", *OTHERS, *FULL])
def test_pixels_are_the_references_and_embeddings_follow(size, backend, images, tmp_path):
    """Odd images, too: pixels identical, cosine at least 0.99999, no number off by 1e-4."""
    folder = checkpoint_of(size, tmp_path)
    config = ModelConfig(model=str(folder), device="cpu", backend=backend, policy="reference")
    parity = compare(load(config), Reference(folder), images, TEXTS)
    assert parity.max_pixel_difference == 0
    for one in (parity.images, parity.texts):
        assert one.plain.min >= 0.99999
        assert one.max_difference <= 1e-4
