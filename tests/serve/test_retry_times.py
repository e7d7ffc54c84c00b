"""The refused come again one after another, in a time of the tests' own."""

from hypothesis import given
from hypothesis import strategies as st

from serve.http.retry_times import LEAST_S, MOST_S, RETURNS_PER_PLACE, RETURNS_PER_S, RetryTimes


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


def test_the_first_comes_again_soon():
    assert RetryTimes(Clock()).next_ms() == 1000 * LEAST_S


def test_those_refused_at_once_come_one_after_another():
    retry_times = RetryTimes(Clock())
    waits_ms = [retry_times.next_ms() for _ in range(100)]
    assert waits_ms == [round(1000 * (LEAST_S + n / RETURNS_PER_S)) for n in range(100)]


def test_however_many_were_refused_none_waits_longer_than_the_most():
    retry_times = RetryTimes(Clock())
    assert [retry_times.next_ms() for _ in range(1000)][-1] == 1000 * MOST_S


def test_a_rush_that_is_over_is_forgotten():
    clock = Clock()
    retry_times = RetryTimes(clock)
    for _ in range(1000):
        retry_times.next_ms()
    clock.now_s += MOST_S
    assert retry_times.next_ms() == 1000 * LEAST_S


def test_the_faster_places_fall_free_the_faster_the_refused_come_again():
    clock = Clock()
    retry_times = RetryTimes(clock)
    for _ in range(10_000):  # 100 a second, long enough to be steady
        clock.now_s += 0.01
        retry_times.freed()
    first_ms, *_, last_ms = [retry_times.next_ms() for _ in range(201)]
    assert abs((last_ms - first_ms) - 200 * 1000 / (RETURNS_PER_PLACE * 100)) < 20


@given(st.lists(st.tuples(st.floats(0, 2), st.booleans()), max_size=200))
def test_whatever_happens_the_wait_keeps_its_bounds(events):
    clock = Clock()
    retry_times = RetryTimes(clock)
    for pause_s, freed in events:
        clock.now_s += pause_s
        if freed:
            retry_times.freed()
        else:
            assert 1000 * LEAST_S <= retry_times.next_ms() <= 1000 * MOST_S


@given(st.integers(1, 300))
def test_clients_that_keep_their_wait_come_no_faster_than_is_wanted(clients):
    """Each comes again when it was told, and is refused again; after the first rush."""
    clock = Clock()
    retry_times = RetryTimes(clock)
    due_s = [clock.now_s] * clients
    refused = 0
    while (now_s := min(due_s)) < 1100.0:
        clock.now_s = now_s
        due_s[due_s.index(now_s)] = now_s + retry_times.next_ms() / 1000
        refused += now_s >= 1050.0
    assert refused <= 50 * max(RETURNS_PER_S, clients / MOST_S) + clients
