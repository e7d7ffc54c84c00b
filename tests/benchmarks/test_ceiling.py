"""Real engines under a short load, and the arithmetic on paper."""

import io
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.ceiling.__main__ import QUICK, QUICK_COUNTS, measure, ways
from benchmarks.ceiling.instant import SIZE, InstantEncoder
from benchmarks.ceiling.lock import held_samples, held_share
from benchmarks.ceiling.paper import CORES, GFLOP, PEAK_TFLOPS, cores_for, most_images_s
from benchmarks.ceiling.processes import cpu_s, memory
from benchmarks.ceiling.report import report
from benchmarks.ceiling.tables import show

SPREAD = {"median", "low", "high"}
times_ms = st.floats(0.01, 100)
locks_ms = times_ms | st.just(0.0)


def test_a_trial_run_tells_speed_times_memory_and_paper(capsys):
    """One test, since the run takes long."""
    result = report(measure(QUICK, QUICK_COUNTS, seed=0))

    rows = [(row["mix"], row["processes"]) for row in result["measured"]]
    assert rows == [("A", 0), ("A", 2)]
    for row in result["measured"]:
        roles = {"encoder"} | ({"fork_server", "preprocess"} if row["processes"] else set())
        assert row["core_ms_by_role"].keys() == row["memory_mib_by_role"].keys() == roles
        for key in ("images_s", "times_threads", "core_ms", "lock_ms"):
            assert row[key].keys() == SPREAD
        assert row["images_s"]["low"] > 0
        assert row["core_ms"]["low"] > 0
        assert all(0 < one["private"] < one["pss"] for one in row["memory_mib_by_role"].values())
    for row in result["on_paper"]["rows"]:
        assert [*row["images_s"]] == list(CORES)
        assert len(row["cards"]) == len(PEAK_TFLOPS) * len(GFLOP)

    show(result)
    shown = capsys.readouterr().out
    assert "On paper, not measured" in shown
    assert "H100 ViT-B/32" in shown


def test_the_instant_encoder_preprocesses_like_a_real_one():
    buffer = io.BytesIO()
    Image.new("RGB", (400, 300), "red").save(buffer, "PNG")
    encoder = InstantEncoder()
    pixels = encoder.spec.preprocessing(buffer.getvalue())
    assert pixels.shape == (SIZE, SIZE, 3)
    vectors = encoder.encode_images(np.stack([pixels, pixels]))
    assert vectors.shape == (2, encoder.spec.dimension)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1])


def test_processes_double_up_to_the_number_of_cores():
    assert ways(2) == [0, 1, 2]
    assert ways(6) == [0, 1, 2, 4, 6]
    assert ways(8) == [0, 1, 2, 4, 8]


def test_samples_are_counted():
    assert held_samples("main (a.py:1);run (b 2.py:3) 41\nmain (a.py:1) 1\n") == 42
    assert held_samples("") == 0


@pytest.mark.parametrize(
    ("work", "held"), [("while True: pass", True), ("threading.Event().wait()", False)]
)
def test_the_lock_is_held_by_who_computes_and_not_by_who_waits(work, held):
    code = f"import threading\nprint('ready', flush=True)\n{work}"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        try:
            assert (held_share(process.pid, 1) > 0.5) is held
        finally:
            process.kill()


def test_the_clock_and_the_memory_of_a_process_are_its_own():
    before_s, ours_s = cpu_s(os.getpid()), time.process_time()
    while time.process_time() < ours_s + 0.05:
        pass
    assert cpu_s(os.getpid()) - before_s == pytest.approx(time.process_time() - ours_s, abs=0.01)
    before = memory(os.getpid())
    kept = b"1" * 2**26
    assert memory(os.getpid()).private - before.private == pytest.approx(len(kept) / 2**20, abs=4)


def test_operations_are_those_that_torch_counts():
    """torch's counter gives 8.73 for ViT-B/32, without the two products of the attention."""
    assert GFLOP["ViT-B/32"] == pytest.approx(8.73, rel=0.02)
    assert GFLOP["ViT-L/14"] == pytest.approx(162, rel=0.01)


@given(cores=st.integers(1, 256), core_ms=times_ms, lock_ms=locks_ms)
def test_neither_the_cores_nor_the_lock_are_used_more_than_there_is(cores, core_ms, lock_ms):
    most = most_images_s(cores, core_ms, lock_ms)
    use = (most * core_ms / 1000 / cores, most * lock_ms / 1000)
    assert max(use) == pytest.approx(1)


@given(images_s=st.floats(1, 1e5), core_ms=times_ms, lock_ms=locks_ms)
def test_the_cores_of_a_card_are_as_many_as_it_takes(images_s, core_ms, lock_ms):
    cores = cores_for(images_s, core_ms, lock_ms)
    if cores is None:
        assert most_images_s(10**9, core_ms, lock_ms) < images_s
    else:
        assert most_images_s(cores, core_ms, lock_ms) >= images_s * (1 - 1e-9)
        assert cores == 1 or most_images_s(cores - 1, core_ms, lock_ms) < images_s
