"""How many cores a container has."""

import os
import time
from pathlib import Path

import pytest

from inference.profile.machine import (
    cores,
    cores_in_words,
    cpu_name,
    forget_peak,
    memory_bytes,
    memory_in_words,
    peak_bytes,
    processor_times,
)

USABLE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, USABLE),
        ({"cpu.max": "max 100000"}, USABLE),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "110000 100000"}, min(2, USABLE)),
        ({"cpu.max": "6400000 100000"}, USABLE),
        ({"cpu.max": "nonsense"}, USABLE),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, USABLE),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
    ],
)
def test_the_quota_of_the_container_counts(tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert cores(tmp_path) == expected


def test_a_machine_has_a_name(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\n")
    assert cpu_name(tmp_path / "cpuinfo") == "Some CPU @ 3 GHz"
    assert cpu_name(tmp_path / "missing")


@pytest.mark.skipif(USABLE < 2, reason="one core")
def test_the_limit_of_the_container_is_said(tmp_path):
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert cores_in_words(tmp_path) == f"1 core by the container's limit, of {USABLE}"
    assert cores_in_words(tmp_path / "none") == f"{USABLE} cores"


@pytest.mark.parametrize(
    ("files", "gib"),
    [
        ({}, 8),
        ({"memory.max": "max"}, 8),
        ({"memory.max": str(3 * 2**30)}, 3),
        ({"memory.max": str(64 * 2**30)}, 8),
        ({"memory.max": "nonsense"}, 8),
        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, 8),
        ({"memory/memory.limit_in_bytes": str(2**30)}, 1),
    ],
)
def test_the_memory_limit_of_the_container_counts(tmp_path, files, gib):
    (tmp_path / "meminfo").write_text(f"MemTotal:  {8 * 2**20} kB\nMemFree: 1 kB\n")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert memory_bytes(tmp_path, tmp_path) == gib * 2**30
    because = "" if gib == 8 else " by the container's limit"
    assert memory_in_words(tmp_path, tmp_path) == f"{gib}.0 GiB{because}"


def test_memory_is_unknown_where_nothing_says(tmp_path):
    assert memory_bytes(tmp_path, tmp_path) is None
    assert memory_in_words(tmp_path, tmp_path) == "memory unknown"


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="not Linux")
def test_the_peak_is_measured_anew():
    held = b"x" * (64 * 2**20)  # written, so that it takes memory
    before = peak_bytes()
    del held
    forget_peak()
    assert peak_bytes() < before


def test_the_idle_times_of_the_usable_cores_count(tmp_path):
    """Of user, nice, system, idle, iowait, irq, softirq, steal, guest and guest_nice."""
    number = min(os.sched_getaffinity(0))
    rows = [
        "cpu 9 9 9 9 9 9 9 9 9 9",
        f"cpu{number} 100 20 300 4000 50 6 7 8 90 9",
        "cpu99999 1 1 1 1 1 1 1 1 1 1",
        "intr 5",
    ]
    (tmp_path / "stat").write_text("\n".join(rows))
    times = processor_times(proc=tmp_path)
    assert times.cores == 1
    assert times.idle_s == pytest.approx(4050 / os.sysconf("SC_CLK_TCK"))


@pytest.mark.parametrize("text", [None, "", "intr 5", "cpu0 a b c d e f g h"])
def test_a_system_that_tells_no_processor_times(tmp_path, text):
    if text is not None:
        (tmp_path / "stat").write_text(text)
    assert processor_times(proc=tmp_path) is None


def test_this_process_is_not_idle():
    before, start_s = processor_times(), time.perf_counter()
    while processor_times().own_s < before.own_s + 0.2:
        pass
    after, end_s = processor_times(), time.perf_counter()
    idle_s, own_s = after.idle_s - before.idle_s, after.own_s - before.own_s
    assert own_s + idle_s <= after.cores * (end_s - start_s + 2 / os.sysconf("SC_CLK_TCK"))
