"""CPU time and memory of single processes. On Linux only."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple


class Memory(NamedTuple):
    """MiB. pss: with shared pages divided by their users. private: pages of this process alone."""

    pss: float
    private: float


def cpu_s(pid: int) -> float:
    """Return the CPU time of all threads of a process so far, in nanosecond resolution."""
    return time.clock_gettime(~pid << 3 | 2)  # as clock_getcpuclockid(3) computes it


def memory(pid: int) -> Memory:
    """Return the memory of a process now."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {name: int(size.split()[0]) for name, _, size in (line.partition(":") for line in lines)}
    private = kib["Private_Clean"] + kib["Private_Dirty"]
    return Memory(kib["Pss"] / 1024, private / 1024)
