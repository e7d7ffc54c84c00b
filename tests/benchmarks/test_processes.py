"""Processor time and memory are those of a whole tree of processes."""

import subprocess
import sys

from benchmarks.containers.processes import cpu_s, peak_mib

# A grandchild that works for 0.1 s, keeps 64 MiB, and waits for a line.
GRANDCHILD = """
import time
kept = b"1" * 2**26
while time.process_time() < 0.1:
    pass
print("done", flush=True)
input()
"""
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {GRANDCHILD!r}])"


def test_descendants_count():
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        child.stdout.readline()
        assert cpu_s(child.pid) >= 0.08  # of ticks of 10 ms
        assert peak_mib(child.pid) > 64
    finally:
        child.communicate(b"\n")
    assert cpu_s(child.pid) == 0
