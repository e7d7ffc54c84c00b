"""Full-size towers against transformers: the same vector, on the public configurations."""

import pytest

from model.checkpoint import BUILTIN_FOLDER
from model.config import ModelConfig
from model.load import load
from model.parity import Reference, compare
from model.thumbnails import sample
from tests.checkpoints import make_checkpoint
from tests.images import odd_images

TEXTS = ["a login form", "dark dashboard with a bar chart, on a tablet", "?", "ü" * 300]
ODD = ("cmyk.jpg", "palette-alpha.png", "exif-6.jpg")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "openvino"])
@pytest.mark.parametrize("size", ["builtin", "vit-b-32", "vit-b-16", "vit-l-14"])
def test_parity(size, backend, tmp_path):
    """Pixels identical, cosine at least 0.99999, no number off by more than 1e-4."""
    folder = BUILTIN_FOLDER if size == "builtin" else make_checkpoint(tmp_path / size, size)
    images = [sample(seed).data for seed in range(3)] + [odd_images()[name] for name in ODD]
    config = ModelConfig(model=str(folder), device="cpu", backend=backend, policy="reference")
    encoder = load(config)
    parity = compare(encoder, Reference(folder), images, TEXTS)
    print(size, backend, parity)
    assert parity.max_pixel_difference == 0
    for agreement in (parity.images, parity.texts):
        assert agreement.min_cosine >= 0.99999
        assert agreement.max_difference <= 1e-4
