"""Results as they come: early, each once, and never more in memory than a few windows of them."""

import itertools
import threading
import time

import numpy as np
import pytest

from inference.config import BatchConfig
from inference.types import Embedding, Text
from model.backends.fake import FakeEncoder
from tests.inference.test_engine import opened, soon, text_vector, wait_for

pytestmark = pytest.mark.usefixtures("both_ways")


class Gate:
    """An encoder's sleep: batches pass one at a time, each when it is let."""

    def __init__(self):
        self._passes = threading.Semaphore(0)
        self.waiting = threading.Semaphore(0)

    def sleep(self, _):
        self.waiting.release()
        assert self._passes.acquire(timeout=30)

    def let(self, count=1):
        self._passes.release(count)


def flat(stream):
    """One result after the other, whatever came together."""
    return itertools.chain.from_iterable(stream)


def texts(count):
    return [Text(f"text {number}") for number in range(count)]


def test_the_first_batch_is_there_while_the_second_is_computed():
    gate = Gate()
    encoder = FakeEncoder(fixed_s=1.0, sleep=gate.sleep)
    with opened(encoder, text=BatchConfig(4)) as engine, engine.stream(texts(8), soon()) as stream:
        gate.let()
        results = flat(stream)
        first = [next(results) for _ in range(4)]
        gate.waiting.acquire(timeout=30)
        assert gate.waiting.acquire(timeout=30)  # the second batch runs, and is not let pass
        gate.let()
        rest = list(results)
    assert [index for index, _ in first] == [0, 1, 2, 3]
    assert [index for index, _ in rest] == [4, 5, 6, 7]
    for index, result in [*first, *rest]:
        np.testing.assert_array_equal(result.vector, text_vector(f"text {index}"))


def test_who_does_not_take_results_gets_no_more_of_them():
    """Two windows wait to be taken, and what was on its way."""
    with opened(window=4, text=BatchConfig(2)) as engine:
        with engine.stream(texts(100), soon()) as stream:
            wait_for(lambda: engine.items_in_flight == 0)
            embedded = sum(size for _, size in engine._models["fake"].encoder.batches)
            assert 8 <= embedded <= 8 + 4
            assert len(list(flat(stream))) == 100
        assert sum(size for _, size in engine._models["fake"].encoder.batches) == 100


def test_a_stream_that_is_closed_unread_leaves_nothing_behind():
    gate = Gate()
    with opened(FakeEncoder(fixed_s=1.0, sleep=gate.sleep), text=BatchConfig(1)) as engine:
        stream = engine.stream(texts(50), soon())
        gate.waiting.acquire(timeout=30)
        stream.close()
        gate.let(2)
        wait_for(lambda: engine.items_in_flight == 0)
        assert isinstance(engine.embed([Text("next")], soon()).results[0], Embedding)


def test_what_is_late_comes_at_the_end_as_its_failure():
    gate = Gate()
    with opened(FakeEncoder(fixed_s=1.0, sleep=gate.sleep), text=BatchConfig(2)) as engine:
        gate.let()
        with engine.stream(texts(6), time.monotonic() + 0.3) as stream:
            came = list(flat(stream))
        gate.let(2)
    assert sorted(index for index, _ in came) == list(range(6))
    assert {result.code for index, result in came if index > 1} == {"deadline_exceeded"}


def test_equal_items_come_together():
    with opened() as engine, engine.stream([Text("a"), Text("b"), Text("a")], soon()) as stream:
        came = dict(flat(stream))
    assert came[0].vector is came[2].vector
