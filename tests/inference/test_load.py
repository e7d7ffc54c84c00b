"""What load came to, in numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.loadtest.summary import Load, RequestFailed, percentile, pooled

numbers = st.lists(st.floats(0, 1e6), min_size=1, max_size=50)
shares = st.floats(0, 100)


@given(numbers, shares, shares)
def test_percentiles_lie_between_the_least_and_the_greatest_and_never_fall(values, q, other):
    low, high = sorted((q, other))
    assert min(values) <= percentile(values, low)
    assert percentile(values, low) <= percentile(values, high) * (1 + 1e-12)
    assert percentile(values, high) <= max(values) * (1 + 1e-12)


@given(numbers, shares)
def test_the_order_of_values_does_not_matter(values, q):
    assert percentile(values, q) == percentile(values[::-1], q)


def test_the_ends_and_the_middle_of_values():
    assert [percentile([3.0, 1.0, 2.0], q) for q in (0, 50, 100)] == [1, 2, 3]


def test_nothing_has_no_percentile():
    load = Load(0, 0, {}, {}, 0, 0, 0.0, 0.0, (), complete=False)
    assert load.p50_ms is load.p95_ms is load.p99_ms is None


def test_a_failed_request_says_something_even_without_words():
    assert str(RequestFailed("timeout")) == "timeout"
    assert str(RequestFailed("timeout", "after 60 s")) == "after 60 s"


@pytest.mark.parametrize("name", ["p50_ms", "p95_ms", "p99_ms"])
def test_a_load_knows_its_percentiles(name):
    latencies = tuple(float(n) for n in range(101))
    load = Load(101, 101, {}, {}, 0, 0, 1.0, 101.0, latencies)
    assert getattr(load, name) == float(name[1:3])


def test_turns_are_pooled():
    first = Load(2, 4, {"a": 1}, {}, 1, 0, 1.0, 10.0, (1.0, 2.0))
    second = Load(1, 2, {"a": 2, "b": 1}, {"timeout": 1}, 0, 3, 1.5, 20.0, (3.0,), complete=False)
    assert pooled([first, second]) == Load(
        3, 6, {"a": 3, "b": 1}, {"timeout": 1}, 1, 3, 2.5, 15.0, (1.0, 2.0, 3.0), complete=False
    )
    assert pooled([]).p50_ms is None
