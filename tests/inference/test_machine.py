"""How many cores a container has."""

import os
from pathlib import Path

import pytest

from inference.machine import (
    cores,
    cores_in_words,
    cpu_name,
    forget_peak,
    memory_bytes,
    memory_in_words,
    peak_bytes,
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
    held = bytearray(64 * 2**20)
    before = peak_bytes()
    del held
    forget_peak()
    assert peak_bytes() < before
