"""Requests to a host: never more at once than allowed, none in a pause, and each row once."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.commands.bulk.embedding.hosts import Hosts, host_of

steps = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.sampled_from("abc")),
        st.tuples(st.just("leave"), st.integers(0, 20)),
        st.tuples(st.just("pause"), st.integers(0, 20), st.integers(1, 5)),
        st.tuples(st.just("wait"), st.integers(1, 5)),
    ),
    max_size=60,
)


class Simulation:
    """A clock, and the requests that run."""

    def __init__(self, per_host):
        self.per_host = per_host
        self.hosts = Hosts(per_host)
        self.now_s, self.rows = 0, 0
        self.running, self.done = [], []
        self.paused_until_s = {}

    def start(self, row):
        host, _ = row
        assert self.paused_until_s.get(host, 0) <= self.now_s
        self.running.append(row)
        count = Counter(host for host, _ in self.running)[host]
        assert self.per_host is None or count <= self.per_host

    def step(self, kind, *of):
        if kind == "enter":
            row = (of[0], self.rows)
            self.rows += 1
            if self.hosts.enter(row[0], row, self.now_s):
                self.start(row)
        elif kind == "wait":
            self.now_s += of[0]
        elif self.running:
            host, number = self.running.pop(of[0] % len(self.running))
            self.hosts.leave(host)
            if kind == "pause":
                until_s = self.now_s + of[1]
                self.paused_until_s[host] = max(until_s, self.paused_until_s.get(host, 0))
                self.hosts.pause(host, until_s, (host, number))
            else:
                self.done.append((host, number))
        while (row := self.hosts.next(self.now_s)) is not None:
            self.start(row)


@given(st.none() | st.integers(1, 3), steps)
def test_each_row_has_its_turn_once(per_host, taken):
    simulation = Simulation(per_host)
    for step in taken:
        simulation.step(*step)
    while simulation.running or simulation.hosts.waiting:
        simulation.step("wait", 1)
        simulation.step("leave", 0)
    assert sorted(number for _, number in simulation.done) == list(range(simulation.rows))


def test_a_row_whose_host_paused_comes_before_those_that_waited():
    hosts = Hosts(1)
    assert hosts.enter("a", "first", 0)
    assert not hosts.enter("a", "second", 0)
    hosts.leave("a")
    hosts.pause("a", 5, "first")
    assert hosts.next(4.9) is None
    assert hosts.next(5) == "first"
    assert hosts.next(5) is None
    hosts.leave("a")
    assert hosts.next(5) == "second"


def test_a_row_without_a_host_waits_for_none():
    hosts = Hosts(1)
    assert all(hosts.enter("", row, 0) for row in range(3))
    hosts.leave("")
    assert hosts.waiting == 0


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://A.example:80/x?y", "a.example"),
        (" https://u:p@a.example.:443?x", "a.example"),
        ("http://a.example:8080#x", "a.example:8080"),
        ("s3://bucket/key", "bucket"),
        ("https://b.example", "b.example"),
        ("data:image/png;base64,AA//BB/CC", ""),
        ("data:text/plain,http://a", ""),
        (None, ""),
        ("", ""),
    ],
)
def test_the_host_of_a_url(url, host):
    assert host_of(url) == host
