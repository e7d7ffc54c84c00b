"""The shipped fake encoder keeps the promises of a real one."""

import numpy as np

from model.backends.fake import FakeEncoder
from model.config import ModelConfig
from model.load import load
from tests.images import png


def test_equal_content_embeds_equally_whatever_its_batch():
    encoder = load(ModelConfig(backend="fake"))
    pixels = np.stack([encoder.spec.preprocessing(png(seed=seed)) for seed in (1, 2, 1)])
    first, second, again = encoder.encode_images(pixels)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, second)
    np.testing.assert_allclose(np.linalg.norm(first), 1, atol=1e-6)
    assert encoder.encode_texts(["a"])[0].shape == (1, encoder.spec.dimension)


def test_the_service_time_is_the_one_set():
    slept = []
    encoder = FakeEncoder(fixed_s=2.0, per_item_s=0.5, sleep=slept.append)
    encoder.encode_texts(["a", "b", "c"])
    assert slept == [3.5]
