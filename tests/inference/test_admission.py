"""Permits for items in flight: bounded, shared evenly, some kept for interactive items."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.config import EngineConfig
from inference.engine.admission import Admission
from inference.engine.request import Request
from inference.errors import Overloaded
from inference.types import Text


def request(count, lane="bulk"):
    return Request([Text(str(number)) for number in range(count)], 0.0, lane)


def config(permits, window, kept=0):
    return EngineConfig(max_items_in_flight=permits, window=window, lane_permits=kept)


@given(
    asked=st.lists(
        st.tuples(st.integers(1, 50), st.sampled_from(["bulk", "interactive"])), max_size=12
    ),
    permits=st.integers(2, 40),
    window=st.integers(1, 20),
    seed=st.integers(0, 1000),
)
def test_all_that_is_admitted_runs_within_the_bounds(asked, permits, window, seed):
    admission = Admission(config(permits, window, kept=permits // 4))
    dice = random.Random(seed)
    running, ran, admitted = [], Counter(), {}
    arriving = [(request(count, lane), count) for count, lane in asked]
    while arriving or running:
        if arriving and (not running or dice.random() < 0.3):
            new, count = arriving.pop()
            try:
                running += admission.enter(new)
                admitted[new] = count
            except Overloaded:
                assert len(running) >= permits - permits // 4
        else:
            job = running.pop(dice.randrange(len(running)))
            ran[job.request] += 1
            running += admission.done(job)
        in_flight = Counter(job.request for job in running)
        assert admission.items_in_flight == len(running) <= permits
        assert max(in_flight.values(), default=0) <= window
        lanes = Counter(job.lane for job in running)
        assert max(lanes.values(), default=0) <= permits - permits // 4
    assert ran == Counter(admitted)
    assert admission.items_in_flight == 0


def test_a_request_that_found_few_permits_gets_its_share_as_others_end():
    admission = Admission(config(permits=10, window=8))
    running = [*admission.enter(request(100)), *admission.enter(request(100))]
    assert [len(running), admission.items_in_flight] == [10, 10]
    for _ in range(20):
        running += admission.done(running.pop(0))
    assert sorted(Counter(job.request for job in running).values()) == [5, 5]


def test_permits_that_end_with_their_request_widen_the_others():
    admission = Admission(config(permits=10, window=8))
    first = admission.enter(request(8))
    second = admission.enter(request(100))
    assert len(second) == 2
    for job in first:
        second += admission.done(job)
    assert len(second) == 8


def test_the_last_permits_are_for_interactive_items():
    admission = Admission(config(permits=8, window=8, kept=2))
    assert len(admission.enter(request(100))) == 6
    with pytest.raises(Overloaded):
        admission.enter(request(1))
    assert len(admission.enter(request(100, "interactive"))) == 2
    with pytest.raises(Overloaded):
        admission.enter(request(1, "interactive"))


def test_who_left_starts_nothing_more():
    admission = Admission(config(permits=2, window=2))
    gone = request(100)
    running = admission.enter(gone)
    gone.close()
    assert [admission.done(job) for job in running] == [[], []]
    assert admission.items_in_flight == 0


def test_interactive_items_leave_permits_to_the_bulk():
    """A lane that is asked for by name may be as large as any; bulk is not shut out."""
    admission = Admission(config(permits=8, window=8, kept=2))
    assert len(admission.enter(request(100, "interactive"))) == 6
    assert len(admission.enter(request(100))) == 2


def test_who_waits_without_an_item_in_flight_is_forgotten_when_it_leaves():
    admission = Admission(config(permits=1, window=1))
    bulk, query = request(2), request(2, "interactive")
    (running,) = admission.enter(bulk)
    admission._in_flight[query] = 0  # as if it had come in the same instant
    (instead,) = admission.done(running)
    assert instead.lane == "interactive"
    bulk.close()
    admission.leave(bulk)
    assert list(admission._in_flight) == [query]
