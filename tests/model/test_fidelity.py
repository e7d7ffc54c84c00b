"""The measure of fidelity: its laws, and what plain cosine hides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from model.fidelity.cosines import fidelity


def unit(values):
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def some(count=40, dimension=16, seed=0, spread=1.0, towards=0.0):
    dice = np.random.default_rng(seed)
    return unit(towards + spread * dice.standard_normal((count, dimension)))


@given(st.integers(1, 60), st.integers(2, 20), st.integers(0, 9))
def test_what_is_equal_has_full_marks(count, dimension, seed):
    rows = some(count, dimension, seed)
    found = fidelity(rows, rows)
    assert abs(found.plain.min - 1) < 1e-6
    assert abs(found.centred.min - 1) < 1e-6
    assert found.max_difference == 0
    assert found.overlap in (None, 1.0)
    assert (found.overlap is None) == (count <= 20)


@given(arrays.arrays(np.float64, (30, 8), elements=st.floats(-1, 1)), st.integers(0, 9))
def test_cosines_are_in_order_and_bounds_hold(noise, seed):
    theirs = some(30, 8, seed)
    found = fidelity(unit(theirs + 0.1 * noise + 1e-3), theirs)
    for one in (found.plain, found.centred):
        assert -1 - 1e-9 <= one.min <= one.p1 <= 1 + 1e-9
        assert one.min <= one.mean <= 1 + 1e-9
    assert 0 <= found.overlap <= 1
    assert found.count == 30


def test_centred_cosine_tells_apart_what_plain_cosine_takes_for_equal():
    """Rows of a narrow cone, and the same in another order."""
    rows = some(towards=1.0, spread=0.05)
    found = fidelity(rows[::-1], rows)
    assert found.plain.min > 0.98
    assert found.centred.mean < 0.2
    assert found.overlap < 0.6


@pytest.mark.parametrize("broken", [np.nan, 0.0, np.inf])
def test_what_is_no_embedding_is_far_from_everything(broken):
    theirs = some()
    ours = theirs.copy()
    ours[3] = broken
    found = fidelity(ours, theirs)
    assert found.plain.min <= 1e-9
    assert found.plain.p1 < 0.99
