"""The watchdog: a socket is shut at its limit, whatever limits came before."""

import socket
import time
from contextlib import closing

import pytest

from inference.fetching.watchdog import Watchdog


@pytest.fixture
def watchdog():
    with closing(Watchdog()) as one:
        yield one


def ends(watchdog, limit_s):
    """Whether a read that waits for nothing ends by this limit."""
    here, there = socket.socketpair()
    with here, there, watchdog.limit(limit_s) as fuse:
        here.settimeout(30)
        fuse.watch(here)
        return here.recv(1) == b""


def test_an_earlier_limit_is_not_late_for_a_later_one(watchdog):
    """The thread sleeps until the later one; the earlier one wakes it."""
    with watchdog.limit(time.monotonic() + 3600):
        assert ends(watchdog, time.monotonic() + 0.05)
        assert ends(watchdog, time.monotonic() + 0.05)
    assert ends(watchdog, time.monotonic() + 0.05)


def test_a_later_limit_is_kept_after_an_earlier_one_was_met_or_taken_back(watchdog):
    with watchdog.limit(time.monotonic() + 0.05):
        pass
    assert ends(watchdog, time.monotonic() + 0.1)
    now_s = time.monotonic()
    with watchdog.limit(now_s + 0.05):
        assert ends(watchdog, now_s + 0.15)


def test_a_limit_in_the_past_is_met_at_once(watchdog):
    with watchdog.limit(time.monotonic() + 3600):
        assert ends(watchdog, time.monotonic() - 1)
