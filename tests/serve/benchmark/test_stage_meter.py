"""What the meter makes of results and of the encoder's reports."""

import numpy as np
import pytest

from inference.batching.batcher import TowerReport
from inference.batching.live_service_times import BatchTimes
from inference.types import Embedding, Failure
from serve.benchmark.pipeline_stages.stage_meter import StageMeter
from serve.benchmark.pipeline_stages.stages import Spent


class Rig:
    """A meter with a clock of its own, and batches that ran when the test says so."""

    def __init__(self, warm_up_s=1.0):
        self.now_s, self.batches, self.encode_s = 100.0, {}, 0.0
        self.meter = StageMeter(self.report, warm_up_s, lambda: self.now_s)

    def report(self):
        batches = {n: BatchTimes(count, 1.0) for n, count in self.batches.items()}
        return TowerReport(16, 16, 1.0, self.encode_s, {}, batches)

    def ran(self, n, count, encode_s):
        self.batches[n] = self.batches.get(n, 0) + count
        self.encode_s += encode_s


def embedded(**times_s):
    return Embedding(np.zeros(1, np.float32), times_s=times_s)


def test_requests_of_the_warm_up_are_seen_but_do_not_count():
    rig = Rig()
    early = rig.meter.begin()
    rig.ran(4, 2, 1.0)
    rig.now_s += 1.0
    late = rig.meter.begin()
    rig.meter.end([embedded(decode=9.0)], counts=early)
    rig.ran(4, 1, 0.5)
    rig.ran(2, 3, 0.5)
    rig.meter.end([embedded(fetch=0.1, decode=0.2, queue=0.3, encode=0.5)], counts=late)
    assert (early, late) == (False, True)
    assert rig.meter.seen == 2
    spent = rig.meter.spent()
    assert spent.mean_batch == 2.5
    assert spent.thread_s == {"fetch": 0.1, "decode": 0.2, "encode": pytest.approx(0.1)}
    assert spent.p50_ms == {"fetch": 100.0, "decode": 200.0, "queue": 300.0, "encode": 500.0}


def test_what_failed_took_time_of_those_that_did_not():
    rig = Rig(warm_up_s=0.0)
    counts = rig.meter.begin()
    dead = Failure("fetch_timeout", "late", retryable=True, times_s={"fetch": 3.0})
    outcome = rig.meter.end([embedded(fetch=1.0), dead], counts=counts)
    assert (outcome.ok, outcome.failed) == (1, {"fetch_timeout": 1})
    assert rig.meter.spent().thread_s["fetch"] == 4.0


def test_before_anything_was_embedded_nothing_is_known():
    rig = Rig(warm_up_s=0.0)
    assert rig.meter.spent() == Spent()
    rig.meter.begin()
    assert rig.meter.spent() == Spent()
