"""Batches from arrays in memory of their own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.backends.fake import FakeEncoder
from model.backends.gather import Gather, gathered
from model.config import ModelConfig
from model.load import load

SHAPES = st.sampled_from([(3,), (4, 4, 3)])
ITEMS = SHAPES.flatmap(
    lambda shape: st.lists(arrays(np.uint8, shape), min_size=1, max_size=5)
) | st.lists(arrays(np.int64, (7,)), min_size=1, max_size=5)


@given(ITEMS)
def test_a_batch_is_the_items_in_order(items):
    np.testing.assert_array_equal(Gather()(items), np.stack(items))


@given(ITEMS, st.integers(0, 100))
def test_a_batch_is_written_at_the_start_of_the_memory_it_is_given(items, spare):
    size = sum(item.nbytes for item in items)
    memory = np.full(size + spare, 7, dtype=np.uint8)
    batch = gathered(items, out=memory)
    np.testing.assert_array_equal(batch, np.stack(items))
    assert batch.dtype == items[0].dtype
    assert np.shares_memory(batch, memory)
    assert (memory[size:] == 7).all()


def test_one_array_is_not_copied():
    batch = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    assert Gather()(batch) is batch


def test_items_of_other_shapes_and_too_little_memory_are_errors():
    small, large = np.zeros(3, np.uint8), np.zeros(4, np.uint8)
    with pytest.raises(ValueError, match="shape"):
        Gather()([small, large])
    with pytest.raises(ValueError, match="reshape"):
        gathered([large, large], out=np.zeros(7, np.uint8))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_a_thread_gathers_into_the_same_memory(counts):
    gather, dice, most, before = Gather(), np.random.default_rng(0), 0, np.empty(0)
    for count in counts:
        items = [dice.integers(0, 256, (5, 5, 3), dtype=np.uint8) for _ in range(count)]
        batch = gather(items)
        np.testing.assert_array_equal(batch, np.stack(items))
        if count <= most:
            assert np.shares_memory(batch, before)
        most, before = max(most, count), batch
    assert gather(batch) is batch


@pytest.mark.parametrize("backend", ["fake", "torch", "openvino"])
def test_read_only_views_are_embedded_like_one_array(backend, small_checkpoint, recwarn):
    """Such as views into memory that another process has written."""
    config = ModelConfig(model=str(small_checkpoint), backend=backend, device="cpu")
    encoder = FakeEncoder(config) if backend == "fake" else load(config)
    side = encoder.spec.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    shared = [np.frombuffer(one.tobytes(), np.uint8).reshape(one.shape) for one in pixels]
    np.testing.assert_array_equal(encoder.encode_images(shared), encoder.encode_images(pixels))
    assert not [one for one in recwarn if "writable" in str(one.message)]
