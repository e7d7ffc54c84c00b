"""Processor time and memory of a process and its descendants, from `/proc`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

TICKS_S = os.sysconf("SC_CLK_TCK")


class _Process(NamedTuple):
    parent: int
    cpu_s: float


def cpu_s(*roots: int) -> float:
    """Return the processor time of these processes and their descendants, s.

    Includes children that have ended, if their parent waited for them.
    """
    every = _every()
    return sum(every[pid].cpu_s for pid in _trees(every, roots))


def peak_mib(root: int) -> float:
    """Return the sum of the peak resident memory of a process and its descendants."""
    return sum(_status_kib(pid, "VmHWM") for pid in _trees(_every(), [root])) / 1024


def rss_mib(pid: int) -> float:
    """Return the current resident memory of one process."""
    return _status_kib(pid, "VmRSS") / 1024


def machine_cpu_s() -> float:
    """Return the processor time of all processes on this machine and of the hypervisor, s."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    user, nice, system, _idle, _iowait, *others = (int(one) for one in fields[1:9])
    return (user + nice + system + sum(others)) / TICKS_S


def _every() -> dict[int, _Process]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text()
        except OSError:  # it has ended
            continue
        # The name, in brackets, may contain blanks. After it: state, parent, ...
        fields = text.rpartition(")")[2].split()
        ticks = sum(int(one) for one in fields[11:15])  # own and children's, user and system
        found[int(folder.name)] = _Process(int(fields[1]), ticks / TICKS_S)
    return found


def _trees(every: dict[int, _Process], roots: Sequence[int]) -> set[int]:
    inside = {pid for pid in roots if pid in every}
    while more := {pid for pid, one in every.items() if one.parent in inside} - inside:
        inside |= more
    return inside


def _status_kib(pid: int, key: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{key}:")), 0)
