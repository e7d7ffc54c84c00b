"""Ratios are of the same round, and a round without a base says nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.containers.spread import Spread, ratios, spread

speeds = st.floats(0.1, 1000)


def test_a_ratio_is_of_the_same_round_not_of_medians():
    rounds = [{"a": 10.0, "b": 20.0}, {"a": 30.0, "b": 45.0}, {"a": 1.0, "b": 3.0}]
    assert ratios(rounds, "a") == {"a": Spread(1, 1, 1), "b": Spread(2.0, 1.5, 3.0)}


def test_a_round_without_the_base_says_nothing():
    assert ratios([{"a": 0.0, "b": 9.0}, {"b": 9.0}, {"a": 2.0, "b": 9.0}], "a")["b"].median == 4.5
    assert ratios([{"b": 9.0}], "a") == {}


def test_a_spread_reads_like_a_table():
    assert str(spread([1.0, 2.0, 1.5])) == "1.50 (1.00-2.00)"


@given(st.lists(st.tuples(speeds, speeds, st.floats(0.1, 10)), min_size=1, max_size=9))
def test_a_machine_that_slows_down_for_a_whole_round_changes_no_ratio(rounds):
    steady = [{"a": a, "b": b} for a, b, _ in rounds]
    drifting = [{"a": a * slow, "b": b * slow} for a, b, slow in rounds]
    assert ratios(drifting, "a")["b"] == pytest.approx(ratios(steady, "a")["b"])
