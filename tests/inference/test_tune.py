"""Tuning against encoders whose curve is known, on a clock of the test's own."""

import mmap
import threading

import numpy as np
import pytest

from inference.profile.machine import forget_peak, peak_bytes
from inference.tuning.runners import image_runner, interleaved, on_streams, text_runner
from inference.tuning.tune import QUICK, TuneConfig, around, tune
from model.backends.fake import FakeEncoder
from model.errors import OutOfMemory


class Machine:
    """Runs batches in no time at all; its clock says they took what the curve says."""

    def __init__(self, times_s, noise=0.0, memory=10_000, stop_after=None):
        self.now_s = 0.0
        self.runs = []
        self._times_s, self._noise, self._memory = times_s, noise, memory
        self._stop_after = stop_after
        self._dice = np.random.default_rng(0)

    def run(self, n):
        self.runs.append(n)
        if self._stop_after is not None and len(self.runs) > self._stop_after:
            raise KeyboardInterrupt
        if n > self._memory:
            raise OutOfMemory(f"{n} do not fit")
        self.now_s += self._times_s(n) * float(np.exp(self._noise * self._dice.standard_normal()))

    def tune(self, **config):
        return tune(self.run, TuneConfig(**config), clock=lambda: self.now_s)


def linear(n):
    """20 ms, and 2 ms an item: 0.95 of the throughput of 64 at 47 and more."""
    return 0.020 + 0.002 * n


def test_the_choice_is_on_the_curve_that_was_measured():
    tuned = Machine(linear, noise=0.02).tune()
    assert tuned.curve.a_ms == pytest.approx(20, rel=0.15)
    assert tuned.curve.b_ms == pytest.approx(2, rel=0.1)
    assert tuned.spot.batch_size in (48, 64)
    assert tuned.complete
    assert not tuned.is_noisy


def test_the_first_run_of_each_size_is_discarded():
    """The first run of anything is slow; no sample is."""
    seen = set()

    def cold(n):
        first = n not in seen
        seen.add(n)
        return 100 * linear(n) if first else linear(n)

    tuned = Machine(cold).tune(max_batch_s=1000.0, budget_s=1000.0)
    assert max(tuned.samples_ms[1]) == pytest.approx(22)


def test_rounds_end_when_medians_agree_and_go_on_while_they_do_not():
    calm = Machine(linear).tune(refine=False)
    assert {len(times) for times in calm.samples_ms.values()} == {TuneConfig.min_rounds}
    wild = Machine(linear, noise=0.5).tune(refine=False, budget_s=1e9)
    assert {len(times) for times in wild.samples_ms.values()} == {TuneConfig.max_rounds}


def test_a_machine_too_noisy_to_decide_is_said_to_be():
    assert Machine(linear, noise=1.5).tune(max_rounds=6, budget_s=1e9).is_noisy


def test_a_machine_that_changes_while_it_is_measured_is_noisy():
    """Twice as slow for the first rounds: each round agrees with the next, early not with late."""
    machine = Machine(lambda n: linear(n) * (2 if len(machine.runs) < 30 else 1))
    assert machine.tune().is_noisy


def test_sizes_around_the_choice_are_added():
    tuned = Machine(lambda n: 0.01 + 0.001 * max(n, 16)).tune()
    assert set(tuned.samples_ms) > {1, 2, 4, 8, 16, 32, 64}
    assert around(16, [1, 8, 16, 32, 64]) == [8, 12, 16, 24, 32]
    assert around(1, [1]) == [1]


def test_what_does_not_fit_is_left_out_with_a_margin():
    tuned = Machine(linear, memory=20).tune()
    assert max(tuned.samples_ms) <= 16
    assert "still gaining at" in tuned.spot.sentence


def test_not_even_one_that_fits_is_an_error():
    with pytest.raises(OutOfMemory):
        Machine(linear, memory=0).tune()


def test_a_size_that_takes_too_long_is_the_last():
    machine = Machine(lambda n: 1.0 * n)
    tuned = machine.tune(max_batch_s=3.0, refine=False)
    assert max(tuned.samples_ms) == 4
    assert 8 not in machine.runs


def test_the_budget_ends_the_rounds():
    machine = Machine(lambda n: 1.0, noise=0.5)
    machine.tune(budget_s=0.0, refine=False, max_batch_s=100.0)
    assert machine.now_s == pytest.approx(7 + 3 * 7, rel=0.5)


def test_an_interrupted_tune_keeps_what_was_measured_and_says_so():
    tuned = Machine(linear, stop_after=20).tune()
    assert not tuned.complete
    assert 0 < len(tuned.samples_ms) <= 7
    assert tuned.spot.batch_size in tuned.samples_ms


def test_sizes_are_compared_over_as_many_items():
    machine = Machine(linear)
    times_ms = interleaved(machine.run, [40, 8], 3, clock=lambda: machine.now_s)
    assert machine.runs == [40, 8, 8, 8, 8, 8] * 3
    assert times_ms[8] == pytest.approx([36.0] * 3)
    assert times_ms[40] == pytest.approx([100.0] * 3)


def test_the_towers_of_an_encoder_are_run():
    encoder = FakeEncoder()
    image_runner(encoder)(3)
    text_runner(encoder)(7)


def test_a_batch_runs_on_every_stream_at_once():
    """Each waits for the other; and what one cannot hold is said."""
    meeting = threading.Barrier(2)
    with on_streams(lambda _: meeting.wait(30) and None, 2) as run:
        run(4)
    with on_streams(Machine(linear, memory=3).run, 2) as run, pytest.raises(OutOfMemory):
        run(4)


def test_the_quick_tune_is_quick():
    """On an encoder like ViT-B/32 on two slow cores: both towers within 10 s of work."""
    image = Machine(lambda n: 0.025 + 0.045 * n, noise=0.3)
    tune(image.run, QUICK, clock=lambda: image.now_s)
    text = Machine(lambda n: 0.010 + 0.015 * n, noise=0.3)
    tune(text.run, QUICK, clock=lambda: text.now_s)
    assert image.now_s + text.now_s < 10


class Hungry(Machine):
    """A batch really takes memory: 2 MiB an item, given back after it.

    From the system: memory that earlier tests gave back to the interpreter would be no growth.
    """

    def run(self, n):
        populated = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
        with mmap.mmap(-1, n * 2 * 2**20, flags=populated):
            super().run(n)


@pytest.mark.skipif(not peak_bytes(), reason="the system does not say")
def test_a_size_that_would_not_fit_in_memory_is_never_run():
    forget_peak()
    machine = Hungry(linear)
    machine.tune(memory_bytes=peak_bytes() + 50 * 2**20)
    assert 8 in machine.runs
    assert not {32, 64} & set(machine.runs)
    unlimited = Hungry(linear)
    unlimited.tune()
    assert {32, 64} <= set(unlimited.runs)
