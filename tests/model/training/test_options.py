import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.training.memory import pairs_in
from model.training.options import CHUNK, TrainOptions, batch_size_for, epochs_for

GIB = 2**30
# ViT-B/32: its weights, and tokens times channels times blocks of both towers.
VIT_B_32 = (151_277_313, 50 * 768 * 12 + 77 * 512 * 12)


@pytest.mark.parametrize(
    ("pairs", "batch", "epochs"),
    [(1_000, 128, 32), (10_000, 512, 10), (100_000, 1024, 3), (1_000_000, 4096, 3)],
)
def test_defaults_by_the_number_of_pairs(pairs, batch, epochs):
    assert (batch_size_for(pairs), epochs_for(pairs)) == (batch, epochs)


@given(st.integers(2, 10**8), st.integers(16, 4096))
def test_every_number_of_pairs_and_every_width_has_sound_defaults(pairs, width):
    found = TrainOptions().settled(pairs, width)
    assert 2 <= found.batch_size <= min(pairs, 4096)
    assert 3 <= found.epochs <= 32
    assert 1 <= found.chunk_size <= 512
    assert 0 < found.learning_rate <= 1e-3
    assert TrainOptions(lora=8).settled(pairs, width).learning_rate > found.learning_rate


def test_what_is_given_stays():
    given_ = TrainOptions(learning_rate=0.5, weight_decay=0.0, epochs=1, batch_size=8, chunk_size=3)
    assert given_.settled(1000, 768) == given_
    assert TrainOptions(batch_size=64).settled(10, 768).batch_size == 10


def test_a_chunk_fits_the_memory():
    weights, numbers = VIT_B_32
    assert pairs_in(64 * GIB, weights, weights, numbers) >= CHUNK
    assert pairs_in(6 * GIB, weights, weights, numbers) in {8, 16}
    assert pairs_in(1 * GIB, weights, weights, numbers) == 1
    frozen = weights // 100
    assert pairs_in(6 * GIB, weights, frozen, numbers) > pairs_in(
        6 * GIB, weights, weights, numbers
    )
    assert TrainOptions().settled(1000, 768, fitting=4).chunk_size == 4
    assert TrainOptions(chunk_size=64).settled(1000, 768, fitting=4).chunk_size == 64


@given(st.integers(0, 2**45), st.integers(1, 10**10), st.integers(1, 10**8))
def test_more_memory_never_means_a_smaller_chunk(memory, weights, numbers):
    found = [pairs_in(size, weights, weights, numbers) for size in (memory, 2 * memory)]
    assert 1 <= found[0] <= found[1] <= 512
