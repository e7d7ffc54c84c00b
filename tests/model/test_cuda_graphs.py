"""Batches by bucket. On a CPU they are padded as for graphs, and nothing is captured."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.backends.cuda.cuda_graphs import BUCKETS, bucket_of
from model.config import ModelConfig
from model.errors import CheckpointError
from model.load import load, settle
from tests.model.test_torch_encoder import needs_cuda


@given(st.integers(1, 2 * max(BUCKETS)))
def test_a_batch_takes_the_smallest_bucket_that_holds_it(count):
    bucket = bucket_of(count)
    if count > max(BUCKETS):
        assert bucket is None
        return
    assert bucket in BUCKETS
    assert count <= bucket < 2 * count
    assert not [one for one in BUCKETS if count <= one < bucket]


def agrees(encoder, atol):
    """Whether batches of any size, in turns and at once, are embedded as without graphs."""
    side = encoder.spec.image_size
    dice = np.random.default_rng(0)
    pixels = dice.integers(0, 256, (max(BUCKETS) + 1, side, side, 3), dtype=np.uint8)
    encoder.graphs = None
    expected = encoder.encode_images(pixels)
    encoder.graphs = encoder.captured()

    def run(start):
        return all(
            np.allclose(encoder.encode_images(pixels[start:end]), expected[start:end], atol=atol)
            for end in (65, start + 1, start + 3, start + 20, 65)
        )

    with ThreadPoolExecutor(4) as pool:
        return all(pool.map(run, range(8)))


def test_padded_batches_are_embedded_as_others(small_checkpoint):
    assert agrees(load(ModelConfig(str(small_checkpoint), backend="torch", device="cpu")), 1e-5)


def test_without_a_card_they_are_refused(small_checkpoint):
    with pytest.raises(CheckpointError, match="the encoder runs on a CPU"):
        settle(ModelConfig(str(small_checkpoint), device="cpu", cuda_graphs=True))


@pytest.mark.gpu
@needs_cuda
def test_graphs_on_cuda_agree_with_eager_passes(small_checkpoint):
    config = ModelConfig(
        str(small_checkpoint), device="cuda", precision="float16", cuda_graphs=True
    )
    encoder = load(config)
    encoder.warm_up()
    assert encoder.graphs is not None
    assert agrees(encoder, 1e-3)
