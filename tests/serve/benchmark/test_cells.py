"""Which combination is recommended."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.benchmark.endpoint_load.load_cells import pareto_front, recommend
from tests.serve.benchmark.loads import cell, open_cell

measured = st.lists(
    st.builds(cell, st.integers(1, 64), st.integers(1, 16), st.floats(1, 1e4), st.floats(1, 1e4)),
    min_size=1,
    max_size=12,
)


@given(measured)
def test_what_is_recommended_is_nearly_the_best_and_has_the_fewest_in_flight(cells):
    chosen = recommend(cells).cell
    best = max(one.load.items_per_s for one in cells)
    assert chosen.load.items_per_s >= 0.95 * best
    near = [one for one in cells if one.load.items_per_s >= 0.95 * best]
    assert chosen.batch * chosen.concurrency == min(one.batch * one.concurrency for one in near)


@given(measured, st.floats(1, 1e4))
def test_a_latency_target_is_kept_or_nothing_is_recommended(cells, target_ms):
    choice = recommend(cells, target_ms)
    if choice.cell is None:
        assert min(one.load.p95_ms for one in cells) > target_ms
        assert "no combination keeps a p95" in choice.sentence
    else:
        assert choice.cell.load.p95_ms <= target_ms


@given(measured)
def test_nobody_beats_the_front_and_the_front_beats_or_equals_everybody(cells):
    front = pareto_front(cells)
    rates = [one.load.items_per_s for one in front]
    times = [one.load.p95_ms for one in front]
    assert (rates, times) == (sorted(set(rates)), sorted(set(times)))
    for one in cells:
        assert any(
            other.load.items_per_s >= one.load.items_per_s and other.load.p95_ms <= one.load.p95_ms
            for other in front
        )


def test_of_as_many_in_flight_the_quickest_is_taken():
    slow, quick = cell(4, 4, p95_ms=80.0), cell(16, 1, p95_ms=60.0)
    assert recommend([slow, quick]).cell is quick


def test_the_sentence_has_the_numbers():
    sentence = recommend([cell(16, 1, 412.34, 160.2), cell(64, 1, p95_ms=300.0)], 200.0).sentence
    assert sentence.startswith("16 images a request, 1 request at once: 412.3 images/s, p95 160 ms")
    assert sentence.endswith("that keep a p95 of 200 ms")


@given(measured)
def test_a_recommendation_at_the_edge_says_so(cells):
    choice = recommend(cells)
    largest = max(one.batch * one.concurrency for one in cells)
    at_the_edge = choice.cell.batch * choice.cell.concurrency == largest
    assert at_the_edge == ("nothing larger was measured: try a larger --b" in choice.sentence)


def test_what_was_measured_and_overloaded_the_endpoint_is_no_edge():
    too_much = cell(64, 1, 1.0, errors={"overloaded": 1})
    assert "nothing larger" not in recommend([cell(16, 1), too_much]).sentence
    assert "a larger --batch" in recommend([open_cell(4), open_cell(16)]).sentence
    assert "nothing larger" not in recommend([open_cell(4), open_cell(16, dropped=3)]).sentence


def test_the_quickest_is_named_when_none_keeps_the_target():
    sentence = recommend([cell(1, 1, p95_ms=80.0), cell(4, 1, p95_ms=90.0)], 50.0).sentence
    assert "the quickest, 1 image a request, 1 request at once, has 80 ms" in sentence


@pytest.mark.parametrize(
    "spoilt",
    [
        {"complete": False},
        {"requests": 0},
        {"errors": {"overloaded": 1}},
        {"failed": {"deadline_exceeded": 3}},
    ],
)
def test_what_was_interrupted_or_too_much_is_passed_over(spoilt):
    good = cell(1, 1, 10.0)
    assert recommend([cell(4, 1, 1000.0, **spoilt), good]).cell is good
    assert recommend([cell(4, 1, 1000.0, **spoilt)]).cell is None


def test_dead_links_are_not_the_endpoints_fault():
    assert recommend([cell(4, 1, failed={"fetch_http_status": 3})]).cell is not None


def test_at_a_rate_the_largest_requests_that_it_keeps_up_with_are_taken():
    late, dropping = open_cell(64, duration_s=9.0), open_cell(128, dropped=3)
    kept = [open_cell(4), open_cell(16, duration_s=5.2)]
    choice = recommend([*kept, late, dropping])
    assert choice.cell is kept[1]
    assert "4 requests a second" in choice.sentence
    assert recommend([late, dropping]).cell is None
