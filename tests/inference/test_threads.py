"""The thread plan: candidates, the choice among them, and a real measurement of an instant one."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import EncodeFailed
from inference.profile.profile import Threads
from inference.tuning.threads import (
    MeasuredThreads,
    candidates,
    choose,
    io_threads,
    measure,
    plain,
    ways,
)
from model.backends.fake import FakeEncoder
from tests.images import png


@given(st.integers(1, 128))
def test_plans_use_all_cores_and_no_more(cores):
    plans = candidates(plain(cores))
    assert plans[0] == plain(cores)
    assert len(set(plans)) == len(plans) <= 8
    for plan in plans:
        assert cores / 2 < plan.encoder * plan.streams <= cores
        assert 1 <= plan.decode <= cores


ONE, TWO = plain(2, memory_bytes=0), Threads(encoder=1, streams=2, decode=2, io=32)


def chosen(one, two, pair_ms=150.0):
    measured = [MeasuredThreads(ONE, 8, one, 140.0), MeasuredThreads(TWO, 2, two, pair_ms)]
    return choose(measured, interactive_wait_ms=200.0)


def test_the_plain_plan_stays_unless_another_is_clearly_faster():
    assert chosen((20.0,), (20.5,)) == ONE
    assert chosen((20.0, 19.0), (22.0, 23.0)) == TWO
    # A machine that became twice as fast: each round speaks for the plain plan.
    assert chosen((10.0, 20.0, 20.0), (9.0, 9.5, 19.0)) == ONE


def test_streams_on_which_two_images_outlast_a_query_are_not_taken():
    assert chosen((20.0,), (30.0,), pair_ms=201.0) == ONE
    slow = [MeasuredThreads(ONE, 8, (1.0,), 2000.0), MeasuredThreads(TWO, 2, (2.0,), 4000.0)]
    assert choose(slow, interactive_wait_ms=200.0) == ONE


def test_threads_that_fetch_follow_the_throughput():
    assert io_threads(1.0) == 32
    assert io_threads(200.0) == 100
    assert io_threads(1e6) == 256


class Counting(FakeEncoder):
    """Counts the smooth images, which are those of the pictures; the others are noise.

    sleeps_s: of a batch on one stream, and on two for a pair of its images.
    """

    def __init__(self, sleeps_s=(0.0, 0.0)):
        super().__init__()
        self.threads, self._images = [], []
        self._sleeps_s = sleeps_s

    @property
    def images(self):
        return len(self._images)

    def use_threads(self, threads, streams=1):
        self.threads.append((threads, streams))

    def encode_images(self, pixels):
        streams = self.threads[-1][1]
        time.sleep(self._sleeps_s[streams - 1] * (1 if streams == 1 else len(pixels) ** 2))
        steps = (np.abs(np.diff(one.astype(int), axis=1)).mean() for one in pixels)
        self._images += [step for step in steps if step < 16]  # from two threads at once
        return super().encode_images(pixels)


def test_every_plan_is_run_in_every_round():
    encoder, plans = Counting(), candidates(plain(2, memory_bytes=0))
    measured = measure(encoder, [png()], plans, budget_s=0.0)
    assert [one.threads for one in measured] == plans
    assert all(len(one.images_s) == 2 and min(one.images_s) > 0 for one in measured)
    # One quick tune for each number of streams, two rounds, and the pairs of images.
    turns = [(plan.encoder, plan.streams) for plan in plans]
    assert sorted(encoder.threads) == sorted([*set(turns), *3 * turns])


def test_no_item_of_a_run_is_taken_for_the_copy_of_another():
    encoder = Counting((0.0, 0.004))
    (two,) = measure(encoder, [png()], [TWO], budget_s=0.0)
    turn = 2 * two.batch_size
    # In each of two rounds: a batch on each stream to warm up, then at least 16 images.
    assert encoder.images == 2 * (turn + turn * math.ceil(max(16, 2 * turn) / turn))


def test_each_plan_is_run_in_batches_of_its_own_sweet_spot():
    # A batch on one stream takes 200 ms at any size; on two streams, one of 16 takes 2.6 s.
    encoder = Counting((0.2, 0.01))
    one, two = measure(encoder, [png()], [ONE, TWO], budget_s=0.0)
    assert one.batch_size == 16
    assert two.batch_size < 16


def test_a_picture_that_cannot_be_embedded_is_an_error():
    with pytest.raises(EncodeFailed, match="a picture of the measurement failed"):
        measure(FakeEncoder(), [b"no picture"], [plain(1)])


@pytest.mark.parametrize(
    ("cores", "gib", "expected"), [(2, 2, 2), (8, 3, 3), (1, 16, 1), (2, 0.5, 0), (96, 384, 64)]
)
def test_there_is_a_process_for_each_core_and_each_gib(cores, gib, expected):
    assert plain(cores, memory_bytes=int(gib * 2**30)).processes == expected
    assert plain(cores).processes == min(cores, 64)


def test_a_plan_is_measured_with_processes_and_without():
    with_two, without = ways(plain(2))
    assert (with_two.processes, without.processes) == (2, 0)
    assert ways(without) == [without]
    measured = measure(FakeEncoder(), [png()], [with_two, without], budget_s=0.0)
    assert [one.threads for one in measured] == [with_two, without]
