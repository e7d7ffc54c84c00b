"""The laws of who goes next, in a simulated time: no thread, no clock, thousands of batches."""

import heapq
import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.batching.policy import BULK_SHARE, INTERACTIVE_MEMORY_S, price_s
from inference.batching.scheduler import Batch, Entry, Scheduler
from inference.config import BatchConfig
from inference.profile.curve import Point, fit
from inference.stats import ItemTimes, StageTimes
from inference.types import Target

HAIR_S = 1e-6


def line(a_ms, b_ms):
    """The curve a + b n."""
    return fit([Point(n, a_ms + b_ms * n, a_ms + b_ms * n) for n in (1, 2, 4, 8, 16, 32)])


def config(batch_size, a_ms=20.0, b_ms=10.0):
    return BatchConfig(batch_size, a_ms / 1000, line(a_ms, b_ms))


@dataclass(frozen=True)
class Arrival:
    """An item: announced, then ready after `way_s`; or it fails, or nobody waits in the end."""

    at_s: float
    tower: str
    lane: str
    way_s: float = 0.0
    fails: bool = False
    wanted: bool = True


@dataclass(frozen=True)
class Left:
    """A batch that left: when, until when, its items, and what interactive ones waited then."""

    at_s: float
    end_s: float
    batch: object
    interactive_waited: bool
    limit: int


class Simulation:
    """Items arrive, streams serve them by the curve, nothing takes real time."""

    def __init__(self, configs, streams=1, interactive_wait_s=0.2, slower=1.0):
        self.configs, self.slower = configs, slower
        self.scheduler = Scheduler(interactive_wait_s)
        self.scheduler.add({Target("m", tower): one for tower, one in configs.items()})
        self.idle = streams
        self.left, self.shed = [], []
        self.queued = {}
        self._events, self._order, self._wakes = [], itertools.count(), set()

    def run(self, arrivals):
        for arrival in arrivals:
            self._at(arrival.at_s, self._announce, arrival)
        while self._events:
            now_s, _, action, arguments = heapq.heappop(self._events)
            action(now_s, *arguments)
            self._go(now_s)
        return self

    def _at(self, when_s, action, *arguments):
        heapq.heappush(self._events, (when_s, next(self._order), action, arguments))

    def _announce(self, now_s, arrival):
        self.scheduler.expect(Target("m", arrival.tower), arrival.lane, now_s)
        self._at(now_s + arrival.way_s, self._arrive, arrival)

    def _arrive(self, now_s, arrival):
        if arrival.fails:
            self.scheduler.withdraw(Target("m", arrival.tower), arrival.lane)
            return
        entry = Entry(arrival, ItemTimes(StageTimes()), lambda: arrival.wanted, None, None)
        self.scheduler.submit(Target("m", arrival.tower), arrival.lane, entry, now_s)
        self.queued[id(entry)] = entry

    def _go(self, now_s):
        while self.idle:
            waited = any(c for (_, lane), c in self.scheduler.waiting().items() if lane != "bulk")
            batch = self.scheduler.next(now_s)
            if batch is None:
                break
            for entry in [*batch.entries, *batch.shed]:
                del self.queued[id(entry)]
            self.shed += batch.shed
            if batch.entries:
                self._start(now_s, batch, waited)
        self._check_nobody_waits_too_long(now_s)

    def _start(self, now_s, batch, waited):
        curve = self.configs[batch.tower].curve
        took_s = self.slower * curve.latency_ms(len(batch.entries)) / 1000
        limit = self.scheduler.batch_size(batch.target, now_s)
        self.left.append(Left(now_s, now_s + took_s, batch, waited, limit))
        self.idle -= 1
        self._at(now_s + took_s, self._end, batch, took_s)

    def _end(self, _, batch, took_s):
        self.scheduler.ran(batch, took_s)
        self.idle += 1

    def _check_nobody_waits_too_long(self, now_s):
        """Asked at every event while a stream is idle; and asks to be asked at the bound."""
        if not self.idle or (wait_s := self.scheduler.wait_s(now_s)) is None:
            return
        if (wake_s := now_s + wait_s + HAIR_S / 2) not in self._wakes:
            self._wakes.add(wake_s)
            self._at(wake_s, lambda _: None)
        for entry in self.queued.values():
            age_s = now_s - entry.queued_s
            assert age_s <= self.configs[entry.payload.tower].max_wait_s + HAIR_S


def test_batches_faster_than_the_curve_do_not_lift_the_limit_of_later_ones():
    """An image alone may run on more cores than the batch after it."""
    scheduler, target = Scheduler(interactive_wait_s=0.2), Target("m", "image")
    scheduler.add({target: config(32)})
    scheduler.expect(target, "interactive", now_s=0.0)
    before = scheduler.batch_size(target, now_s=0.0)
    for _ in range(64):
        scheduler.ran(Batch(target, "interactive", [None], []), 0.015)  # the curve says 0.030
    assert scheduler.live[target].slowdown == pytest.approx(0.5)
    assert scheduler.batch_size(target, now_s=0.0) == before


arrivals = st.builds(
    Arrival,
    at_s=st.floats(0, 30),
    tower=st.sampled_from(["image", "text"]),
    lane=st.sampled_from(["interactive", "bulk"]),
    way_s=st.sampled_from([0.0, 0.001, 0.05, 3.0]),
    fails=st.integers(0, 9).map(lambda dice: dice == 0),
    wanted=st.integers(0, 9).map(lambda dice: dice > 0),
)
crowds = st.lists(st.tuples(arrivals, st.integers(1, 40)), max_size=30).map(
    lambda groups: [one for one, count in groups for _ in range(count)]
)
configs = st.builds(
    lambda image, text: {"image": image, "text": text},
    *[st.builds(config, st.integers(1, 20), st.floats(0.1, 50), st.floats(0.1, 50))] * 2,
)


@settings(max_examples=200)
@given(crowds, configs, st.integers(1, 3), st.sampled_from([0.5, 1.0, 3.0]))
def test_everyone_leaves_once_in_order_in_a_batch_of_their_own_kind(crowd, configs, streams, slow):
    done = Simulation(configs, streams, slower=slow).run(crowd)
    assert not done.queued
    served = [entry.payload for left in done.left for entry in left.batch.entries]
    assert len(served) + len(done.shed) == sum(not one.fails for one in crowd)
    assert all(one.wanted for one in served)
    assert not any(entry.payload.wanted for entry in done.shed)
    for left in done.left:
        kinds = {(entry.payload.tower, entry.payload.lane) for entry in left.batch.entries}
        assert kinds == {(left.batch.tower, left.batch.lane)}
        assert len(left.batch.entries) <= left.limit <= configs[left.batch.tower].batch_size
    for kind in itertools.product(("image", "text"), ("interactive", "bulk")):
        ready = [one.at_s + one.way_s for one in served if (one.tower, one.lane) == kind]
        assert ready == sorted(ready)


@settings(max_examples=200)
@given(crowds, configs)
def test_a_bulk_batch_goes_before_waiting_interactive_items_only_for_its_share(crowd, configs):
    done = Simulation(configs).run(crowd)
    interactive_s = longest_s = 0.0
    for left in done.left:
        took_s = left.end_s - left.at_s
        if left.batch.lane == "interactive":
            interactive_s += took_s
            longest_s = max(longest_s, took_s)
            continue
        if left.interactive_waited:
            # Up to one batch more than the price may have been paid the last time.
            assert interactive_s + longest_s >= price_s(took_s) - HAIR_S
        interactive_s = 0.0


@settings(max_examples=30)
@given(configs, st.sampled_from(["image", "text"]), st.sampled_from(["image", "text"]))
def test_bulk_keeps_its_share_under_an_interactive_flood(configs, flooded, tower):
    """More interactive items than the encoder can do, all at once; bulk ones beside them."""
    flood = [Arrival(0.0, flooded, "interactive") for _ in range(600)]
    done = Simulation(configs).run(flood + [Arrival(0.0, tower, "bulk") for _ in range(600)])
    both = [left for left in done.left if left.interactive_waited]
    bulk = [left.end_s - left.at_s for left in both if left.batch.lane == "bulk"]
    total_s = both[-1].end_s
    # One round, of a bulk batch and what pays for it, may be under way at the end.
    round_s = max(left.end_s - left.at_s for left in done.left) / BULK_SHARE
    if any(left.batch.lane == "bulk" and not left.interactive_waited for left in done.left):
        assert sum(bulk) >= BULK_SHARE * (total_s - round_s)
    assert sum(bulk) <= BULK_SHARE * (total_s + round_s)


@settings(max_examples=20)
@given(configs, st.floats(0.01, 1.0), st.sampled_from([1.0, 2.0, 4.0]))
def test_batches_stay_short_while_interactive_items_come(configs, wait_s, slow):
    """By the curve, and by what batches really take once enough of them ran."""
    bulk = [Arrival(0.0, "image", "bulk") for _ in range(2000)]
    texts = [Arrival(float(second), "text", "interactive") for second in range(0, 200, 5)]
    done = Simulation(configs, interactive_wait_s=wait_s, slower=slow).run(bulk + texts)
    for left in done.left[80:]:
        if left.batch.tower == "image" and left.at_s <= texts[-1].at_s:
            short = left.end_s - left.at_s <= wait_s * (1 + HAIR_S)
            assert short or len(left.batch.entries) == 1


def test_batches_are_as_long_again_when_nobody_interactive_came_for_a_while():
    configs = {"image": config(16), "text": config(16)}
    bulk = [Arrival(0.0, "image", "bulk") for _ in range(16 * 400)]
    done = Simulation(configs, interactive_wait_s=0.1).run(
        [*bulk, Arrival(1.0, "text", "interactive")]
    )
    sizes = [(left.at_s, len(left.batch.entries)) for left in done.left[:-1]]
    assert {n for at_s, n in sizes if at_s < 1.0} == {16}
    # T(8) = 100 ms.
    assert {n for at_s, n in sizes if 1.2 < at_s < INTERACTIVE_MEMORY_S} == {8}
    assert {n for at_s, n in sizes if at_s > 1.2 + INTERACTIVE_MEMORY_S} == {16}


def test_an_interactive_item_waits_for_no_more_than_the_batch_that_runs():
    configs = {"image": config(16), "text": config(16)}
    bulk = [Arrival(0.0, "image", "bulk") for _ in range(500)]
    asks = [Arrival(second + 0.05, "text", "interactive") for second in range(1, 5)]
    done = Simulation(configs).run(bulk + asks)
    interactive = [left for left in done.left if left.batch.lane == "interactive"]
    assert len(interactive) == 4
    for left in interactive:
        asked_s = left.batch.entries[0].payload.at_s
        running = [one for one in done.left if one.at_s <= asked_s < one.end_s]
        assert left.at_s == pytest.approx(running[0].end_s)


def test_an_interactive_item_does_not_wait_for_company_while_bulk_ones_are_ready():
    """Two of a request, one still on its way: the first leaves, since the encoder has work."""
    configs = {"image": config(4, a_ms=500.0), "text": config(4, a_ms=500.0)}
    pair = [Arrival(0.0, "text", "interactive"), Arrival(0.0, "text", "interactive", way_s=5.0)]
    alone = Simulation(configs, interactive_wait_s=9.0).run(pair)
    assert alone.left[0].at_s == pytest.approx(0.5, abs=2 * HAIR_S)
    bulk = [Arrival(0.0, "image", "bulk") for _ in range(40)]
    beside = Simulation(configs, interactive_wait_s=9.0).run(bulk + pair)
    (first, *_) = [left for left in beside.left if left.batch.lane == "interactive"]
    assert len(first.batch.entries) == 1
    assert first.at_s == beside.left[0].end_s


def test_full_batches_run_on_every_stream():
    configs = {"image": config(8), "text": config(8)}
    bulk = [Arrival(0.0, "image", "bulk") for _ in range(160)]
    done = Simulation(configs, streams=2).run(bulk)
    assert [left.at_s for left in done.left[:2]] == [0.0, 0.0]
    assert [len(left.batch.entries) for left in done.left] == [8] * 20


def test_what_waits_leaves_when_nothing_more_comes():
    configs = {"image": config(8, a_ms=1000.0), "text": config(8)}
    done = Simulation(configs)
    done.scheduler.close()
    done.run([Arrival(0.0, "image", "bulk", way_s=way) for way in (0.0, 30.0)])
    assert done.left[0].at_s == 0.0
