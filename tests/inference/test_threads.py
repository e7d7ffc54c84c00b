"""The thread plan: candidates, the choice among them, and a real measurement of an instant one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.config import BatchConfig
from inference.errors import EncodeFailed
from inference.profile import Threads
from inference.threads import MeasuredThreads, candidates, choose, io_threads, measure, plain
from model.fake import FakeEncoder
from tests.images import png


@given(st.integers(1, 128))
def test_plans_use_all_cores_and_no_more(cores):
    plans = candidates(cores)
    assert plans[0] == plain(cores)
    assert len(set(plans)) == len(plans) <= 8
    for plan in plans:
        assert cores / 2 < plan.encoder * plan.streams <= cores
        assert 1 <= plan.decode <= cores


def test_the_plain_plan_stays_unless_another_is_clearly_faster():
    one, two = plain(2), Threads(encoder=1, streams=2, decode=2, io=32)
    assert choose([MeasuredThreads(one, (20.0,)), MeasuredThreads(two, (20.5,))]) == one
    assert choose([MeasuredThreads(one, (20.0, 19.0)), MeasuredThreads(two, (22.0, 23.0))]) == two
    # A machine that became twice as fast: each round speaks for the plain plan.
    drifting = [MeasuredThreads(one, (10.0, 20.0, 20.0)), MeasuredThreads(two, (9.0, 9.5, 19.0))]
    assert choose(drifting) == one


def test_threads_that_fetch_follow_the_throughput():
    assert io_threads(1.0) == 32
    assert io_threads(200.0) == 100
    assert io_threads(1e6) == 256


class Counting(FakeEncoder):
    def __init__(self):
        super().__init__()
        self.threads, self.images = [], 0

    def use_threads(self, threads):
        self.threads.append(threads)

    def encode_images(self, pixels):
        self.images += len(pixels)
        return super().encode_images(pixels)


def test_every_plan_is_run_in_every_round():
    encoder, plans = Counting(), candidates(2)
    measured = measure(encoder, [png()], BatchConfig(4), plans, budget_s=0.0)
    assert [one.threads for one in measured] == plans
    assert all(len(one.images_s) == 2 and min(one.images_s) > 0 for one in measured)
    assert sorted(encoder.threads) == sorted(2 * [plan.encoder for plan in plans])
    # 16 for two cores, and a batch on each stream to warm up: none was taken for another's copy.
    assert encoder.images == sum(2 * (16 + 4 * plan.streams) for plan in plans)


def test_a_picture_that_cannot_be_embedded_is_an_error():
    with pytest.raises(EncodeFailed, match="a picture of the measurement failed"):
        measure(FakeEncoder(), [b"no picture"], BatchConfig(4), [plain(1)])
