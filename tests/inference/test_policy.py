"""The batch policy: pure, so that its laws can be stated over all inputs."""

from hypothesis import given
from hypothesis import strategies as st

from inference.batching.policy import take

counts = st.integers(0, 500)
ages = st.floats(0, 1)
sizes = st.integers(1, 64)
waits = st.floats(0.001, 0.5)


@given(counts, counts, ages, sizes, waits)
def test_never_more_than_wait_and_never_more_than_a_batch(waiting, expected, age, size, wait):
    assert 0 <= take(waiting, expected, age, size, wait) <= min(waiting, size)


@given(counts, ages, sizes, waits)
def test_nobody_waits_when_nobody_is_on_the_way(waiting, age, size, wait):
    assert take(waiting, 0, age, size, wait) == min(waiting, size)


@given(st.integers(1, 500), counts, st.floats(0, 1), sizes, waits)
def test_nobody_waits_past_the_bound(waiting, expected, over, size, wait):
    assert take(waiting, expected, wait + over, size, wait) > 0


@given(st.integers(1, 63), st.integers(1, 500))
def test_a_part_of_a_batch_waits_for_what_is_on_its_way(waiting, expected):
    assert take(waiting, expected, 0.0, 64, 0.1) == 0
