"""Loops on real threads; the calls take no time, or as long as the test lets them."""

import itertools
import signal
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.loadtest.recorder import Recorder, Sample, Window
from inference.loadtest.run import ClosedLoop, OpenLoop, arrivals, closed_loop, open_loop, together
from inference.loadtest.summary import Outcome, RequestFailed

SHORT_S = 0.05


class Calls:
    """Counts calls, and how many ran at once; each does as it is told."""

    def __init__(self, work=lambda number: Outcome(1)):
        self._work = work
        self._lock = threading.Lock()
        self.count = self.active = self.peak = 0

    def __call__(self):
        with self._lock:
            self.count += 1
            number = self.count
            self.active += 1
            self.peak = max(self.peak, self.active)
        try:
            return self._work(number)
        finally:
            with self._lock:
                self.active -= 1


@given(st.floats(0.1, 1000), st.integers(0, 99))
def test_arrivals_ascend_and_are_the_same_for_the_same_seed(rate_per_s, seed):
    some = list(itertools.islice(arrivals(rate_per_s, seed), 50))
    assert some == sorted(some)
    assert some[0] > 0
    assert some == list(itertools.islice(arrivals(rate_per_s, seed), 50))


@given(st.floats(0.1, 1000))
def test_arrivals_come_at_their_rate(rate_per_s):
    """The mean of 2,000 gaps strays by less than a tenth: more than four standard errors."""
    last_s = next(itertools.islice(arrivals(rate_per_s, 7), 1999, None))
    assert last_s * rate_per_s / 2000 == pytest.approx(1, rel=0.1)


def test_a_closed_loop_has_as_many_callers_as_it_was_told():
    meeting = threading.Barrier(4)

    def work(number):
        if number <= 4:
            meeting.wait(60)
        return Outcome(3, {"fetch_dns": 1}, retried=2)

    calls = Calls(work)
    load = closed_loop(calls, 4, SHORT_S)
    assert calls.peak == 4
    assert load.requests == calls.count == len(load.latencies_ms)
    assert load.items_ok == 3 * calls.count
    assert load.failed == {"fetch_dns": calls.count}
    assert load.retried == 2 * calls.count
    assert load.items_per_s > 0
    assert load.complete


def test_failed_requests_are_counted_by_code_and_have_no_latency():
    def work(number):
        if number % 2:
            raise RequestFailed("overloaded", retried=4)
        return Outcome(1)

    calls = Calls(work)
    load = closed_loop(calls, 1, SHORT_S, at_least=2)
    assert load.errors == {"overloaded": (calls.count + 1) // 2}
    assert load.requests == calls.count // 2 == len(load.latencies_ms)
    assert load.retried == 4 * load.errors["overloaded"]


def test_every_caller_measures_so_many_requests_however_short_the_time():
    calls = Calls()
    assert closed_loop(calls, 3, 0.0, at_least=15).requests >= 3 * 15


def test_the_warm_up_is_not_counted():
    window = Window()
    window.open(duration_s=60.0, warm_up_s=60.0)
    recorder = Recorder(window)
    recorder.measure(lambda: Outcome(1, {"fetch_dns": 1}, retried=1), 0, window.start_s - 1.0)
    recorder.drop(window.start_s - 1.0)
    recorder.measure(lambda: Outcome(1), 0, window.start_s)
    load = recorder.load(lambda samples, start_s, end_s: 0.0, complete=True)
    assert (load.requests, load.items_ok, load.failed) == (1, 1, {})
    assert load.retried == load.dropped == 0


def test_a_caller_asks_on_until_the_slowest_has_measured_enough():
    """One is held until the other has asked ten times: the house stays full for it."""
    ten_asked = threading.Event()

    def work(number):
        if number == 1:
            assert ten_asked.wait(60)
        if number == 10:
            ten_asked.set()
        return Outcome(1)

    assert closed_loop(Calls(work), 2, 0.0).requests >= 10


def queue(callers, service_s, rounds):
    """Samples of callers who wait in one line for one server, from its opening on."""
    turns = itertools.count(1)
    last_s = dict.fromkeys(range(callers), 0.0)
    samples = []
    for _ in range(rounds):
        for caller in range(callers):
            end_s = next(turns) * service_s
            samples.append(Sample(caller, last_s[caller], end_s, ok=64, answered=True))
            last_s[caller] = end_s
    return samples


@given(st.integers(1, 16), st.floats(0.01, 10), st.integers(2, 9))
def test_the_rate_of_a_closed_loop_is_the_servers(callers, service_s, rounds):
    """However few requests fit into the time: the first of each caller belongs to the warm-up."""
    samples = queue(callers, service_s, rounds)[callers:]
    loop = ClosedLoop(Calls(), callers)
    assert loop.items_per_s(samples, 0.0, 0.0) == pytest.approx(64 / service_s)


def test_what_is_answered_after_the_others_stopped_does_not_raise_the_rate():
    samples = queue(4, 1.0, 3)[4:]
    alone = Sample(0, samples[-1].end_s, samples[-1].end_s + 0.01, ok=64, answered=True)
    loop = ClosedLoop(Calls(), 4, at_least=2)
    assert loop.items_per_s([*samples, alone], 0.0, 0.0) == pytest.approx(64)


def test_failed_requests_take_time_and_give_no_items():
    samples = [Sample(0, 0.0, 1.0, 10, answered=True), Sample(0, 1.0, 2.0, 0, answered=False)]
    assert ClosedLoop(Calls(), 1).items_per_s(samples, 0.0, 2.0) == 5.0
    assert OpenLoop(Calls(), 1.0, 1).items_per_s(samples, 0.0, 2.0) == 5.0


def test_what_a_call_should_not_raise_reaches_the_caller():
    def work(number):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        closed_loop(Calls(work), 2, 60.0)


def test_arrivals_beyond_what_may_be_in_flight_are_dropped():
    """The only caller is held until all other arrivals of the time are due."""
    due = list(itertools.takewhile(lambda s: s < 0.2, arrivals(100.0, 3)))

    def work(number):
        if number == 1:
            held.wait(0.3)
        return Outcome(1)

    held = threading.Event()
    load = open_loop(Calls(work), 100.0, 0.2, max_in_flight=1, seed=3)
    assert load.requests == 1
    assert load.dropped == len(due) - 1


def test_every_arrival_is_answered_fails_or_is_dropped():
    def work(number):
        if number % 3 == 0:
            raise RequestFailed("timeout")
        return Outcome(1)

    expected = len(list(itertools.takewhile(lambda s: s < 0.2, arrivals(200.0, 5))))
    load = open_loop(calls := Calls(work), 200.0, 0.2, max_in_flight=8, seed=5)
    assert load.requests + sum(load.errors.values()) + load.dropped == expected
    assert calls.peak <= 8


def test_latency_counts_from_the_arrival_not_from_when_a_caller_had_time():
    """Asked at an instant that is long past, a request has waited since then."""
    window = Window()
    window.open(duration_s=60.0, warm_up_s=-60.0)
    recorder = Recorder(window)
    recorder.measure(lambda: Outcome(1), 0, window.begun_s - 5.0)
    assert recorder.load(lambda samples, start_s, end_s: 0.0, complete=True).p50_ms >= 5000


def test_loops_run_beside_each_other():
    """A call of the closed loop ends only after one of the open loop, and the other way round."""
    closed_asked, open_asked = threading.Event(), threading.Event()

    def closed_work(number):
        closed_asked.set()
        assert open_asked.wait(60)
        return Outcome(1)

    def open_work(number):
        open_asked.set()
        assert closed_asked.wait(60)
        return Outcome(1)

    loops = [ClosedLoop(Calls(closed_work), 1), OpenLoop(Calls(open_work), 100.0, 2)]
    closed, opened = together(loops, 0.2)
    assert closed.requests
    assert opened.requests


def test_interrupting_leaves_what_was_measured_and_does_not_wait_for_the_rest():
    def work(number):
        if number == 5:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            assert released.wait(60)
        return Outcome(1)

    released = threading.Event()
    load = closed_loop(Calls(work), 1, 60.0)
    released.set()
    assert not load.complete
    assert load.requests == 4
