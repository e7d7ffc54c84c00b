"""When batches are said to be slowed by other processes, in a time of the tests' own."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.batching.contention import HOLD, WINDOW_S, Contention, Verdict, Window
from inference.profile.machine import ProcessorTimes

# As measured on two cores, with a caller that uses one of them; and beside a busy process.
QUIET = Window(slowdown=1.5, own=0.8, others=0.92, idle=0.28)
BESIDE = Window(slowdown=2.4, own=0.6, others=1.4, idle=0.0)
# Where the batches are small, decoding is what starves.
STARVED = Window(slowdown=1.3, own=0.5, others=1.5, idle=0.0)


@pytest.mark.parametrize("beside", [BESIDE, STARVED])
def test_a_busy_process_is_reported_once_and_its_end_once(beside):
    verdict = Verdict()
    windows = [QUIET] * 4 + [beside] * 6 + [QUIET] * 6
    changes = [(at, verdict.is_slowed) for at, one in enumerate(windows) if verdict.hear(one)]
    assert changes == [(5, True), (11, False)]


@pytest.mark.parametrize(
    "what",
    [
        replace(BESIDE, others=QUIET.others),  # slower, but not by others: more to decode, say
        replace(STARVED, own=QUIET.own),  # others work, and harm nobody
        replace(STARVED, idle=2.0),  # others work, and there is less to do here
        replace(BESIDE, own=2 * QUIET.own),  # a caller on this machine asks for more
    ],
)
def test_no_single_sign_is_enough(what):
    verdict = Verdict()
    assert not any(verdict.hear(one) for one in [QUIET] * 4 + [what] * 4)


def test_a_moment_is_no_change():
    verdict = Verdict()
    assert not any(verdict.hear(one) for one in [QUIET] * 3 + [BESIDE, QUIET] * 10)


def test_between_the_two_margins_nothing_changes():
    """What is above the lower margin and below the upper one keeps the verdict as it is."""
    between = Window(1.2 * QUIET.slowdown, 0.9 * QUIET.own, QUIET.others + 0.2, idle=0.0)
    verdict = Verdict()
    assert not any(verdict.hear(one) for one in [QUIET] * 3 + [between] * 3)
    verdict = Verdict()
    windows = [QUIET] * 3 + [BESIDE] * 3 + [between] * 20
    assert sum([verdict.hear(one) for one in windows]) == 1
    assert verdict.is_slowed


def test_what_was_there_from_the_start_is_usual_until_it_ends():
    verdict = Verdict()
    assert not any(verdict.hear(one) for one in [BESIDE] * 5 + [QUIET] * 3)
    assert [verdict.hear(one) for one in [BESIDE] * 2] == [False, True]


windows = st.builds(
    Window,
    slowdown=st.floats(0.5, 8),
    own=st.floats(0, 2),
    others=st.floats(0, 2),
    idle=st.floats(0, 2),
)


@given(st.lists(windows, max_size=60))
def test_two_changes_are_apart_by_what_must_hold(heard):
    verdict = Verdict()
    changes = [at for at, one in enumerate(heard) if verdict.hear(one)]
    assert all(later - earlier >= HOLD for earlier, later in pairwise(changes))
    assert all(at >= HOLD for at in changes)


@given(st.lists(windows, max_size=60), st.floats(0, 2))
def test_nothing_is_reported_while_others_use_the_same(heard, others):
    verdict = Verdict()
    assert not any(verdict.hear(replace(one, others=others)) for one in heard)


class Machine:
    """A processor whose times are what a test says."""

    def __init__(self):
        self.now_s = self.own_s = self.idle_s = 0.0

    def read(self):
        return ProcessorTimes(2, self.own_s, self.idle_s)

    def run(self, contention, seconds, window, batch_s=0.5):
        """Batches one after another. Returns how often the verdict changed."""
        changes = 0
        for _ in range(round(seconds / batch_s)):
            start_s = self.now_s
            self.now_s += batch_s
            self.own_s += window.own * batch_s
            self.idle_s += window.idle * batch_s
            changes += contention.note(window.slowdown, start_s, self.now_s)
        return changes


def test_a_change_is_reported_within_half_a_minute():
    machine = Machine()
    contention = Contention(machine.read)
    assert machine.run(contention, 60, QUIET) == 0
    assert machine.run(contention, 20, BESIDE) == 1
    words = contention.words()
    assert "other processes use 1.4 cores (0.9 before), the service 0.6 (0.8 before)" in words
    assert "sweetspot benchmark encoder" in words
    assert machine.run(contention, 20, QUIET) == 1
    assert contention.words() == "have enough CPU time again"


def test_slow_batches_make_longer_windows():
    """Each takes more than a window is to last: a pause is only what lies between two of them."""
    machine = Machine()
    contention = Contention(machine.read)
    machine.run(contention, 200, QUIET, batch_s=2 * WINDOW_S)
    assert contention.window.slowdown == QUIET.slowdown
    assert contention.window.others == pytest.approx(QUIET.others)


def test_a_pause_belongs_to_no_window():
    machine = Machine()
    contention = Contention(machine.read)
    machine.run(contention, 20, QUIET)
    machine.now_s += 3600
    # Others had both cores meanwhile.
    assert machine.run(contention, 20, QUIET) == 0
    assert contention.window.others == pytest.approx(QUIET.others)


def test_where_the_system_says_nothing_nothing_is_said():
    machine = Machine()
    contention = Contention(lambda: None)
    assert machine.run(contention, 60, QUIET) == machine.run(contention, 60, BESIDE) == 0
