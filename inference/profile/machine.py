"""The CPU and memory of this machine, within the container's limits."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
CGROUP = Path("/sys/fs/cgroup")
PROC = Path("/proc")
# Version 2 of control groups, then version 1, where no limit is a number beyond any memory.
MEMORY_LIMITS = (Path("memory.max"), Path("memory/memory.limit_in_bytes"))
KIB, GIB = 2**10, 2**30
# Columns of a core's line in /proc/stat: idle, and waiting for a disk.
IDLE_TICKS = slice(4, 6)
# Of a process's line in /proc/PID/stat, after its name: its own CPU times, and its dead children's.
OWN_TIMES, CHILDREN_TIMES = slice(11, 13), slice(13, 15)


@dataclass(frozen=True)
class ProcessorTimes:
    """CPU time so far, s: used by the service's processes, and idle on the `cores` it may use."""

    cores: int
    own_s: float
    idle_s: float


def cpu_name(cpu_info: Path = CPU_INFO) -> str:
    """Return the kernel's name of the CPU."""
    try:
        for line in cpu_info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def cores(cgroup: Path = CGROUP) -> int:
    """Return the usable cores: by affinity, and by the container's quota, rounded up."""
    quota = _quota(cgroup)
    usable = _usable()
    return usable if quota is None else max(1, min(usable, math.ceil(quota)))


def cores_in_words(cgroup: Path = CGROUP) -> str:
    """Describe how many cores are usable, and what limits them."""
    granted, usable = cores(cgroup), _usable()
    words = f"{granted} core" + ("" if granted == 1 else "s")
    return words if granted == usable else f"{words} by the container's limit, of {usable}"


def memory_bytes(cgroup: Path = CGROUP, proc: Path = PROC) -> int | None:
    """Return the usable memory: the container's limit or the machine's; None if unknown."""
    known = [_limit_bytes(cgroup), _field_bytes(proc / "meminfo", "MemTotal")]
    return min((size for size in known if size), default=None)


def memory_in_words(cgroup: Path = CGROUP, proc: Path = PROC) -> str:
    """Describe how much memory is usable, and what limits it."""
    size, total = memory_bytes(cgroup, proc), _field_bytes(proc / "meminfo", "MemTotal")
    if size is None:
        return "memory unknown"
    words = f"{size / GIB:.1f} GiB"
    return words if size == total else f"{words} by the container's limit"


def forget_peak(proc: Path = PROC) -> None:
    """Reset the kernel's record of this process's peak memory."""
    with suppress(OSError):
        (proc / "self" / "clear_refs").write_text("5", encoding="ascii")


def peak_bytes(proc: Path = PROC) -> int:
    """Return this process's peak resident memory; 0 where the system does not report it."""
    return _field_bytes(proc / "self" / "status", "VmHWM") or 0


def resident_bytes(proc: Path = PROC) -> int:
    """Return this process's resident memory now; 0 where the system does not report it."""
    return _field_bytes(proc / "self" / "status", "VmRSS") or 0


def processor_times(helpers: Iterable[int] = (), proc: Path = PROC) -> ProcessorTimes | None:
    """Return the CPU times so far; None where the system does not report them.

    helpers: ids of the service's processes besides this one.
    """
    usable = {f"cpu{number}" for number in _usable_numbers()}
    try:
        lines = (proc / "stat").read_text(encoding="utf-8").splitlines()
        rows = [row for line in lines if (row := line.split()) and row[0] in usable]
        ticks = sum(int(tick) for row in rows for tick in row[IDLE_TICKS])
    except (OSError, ValueError):
        return None
    idle_s = ticks / os.sysconf("SC_CLK_TCK")
    helping_s = sum(cpu_s(pid, proc) + dead_children_cpu_s(pid, proc) for pid in helpers)
    own_s = time.process_time() + helping_s
    return ProcessorTimes(len(rows), own_s, idle_s) if rows else None


def cpu_s(pid: int, proc: Path = PROC) -> float:
    """Return the CPU time of a process, s; 0 if it is gone."""
    return _ticks_s(pid, OWN_TIMES, proc)


def dead_children_cpu_s(pid: int, proc: Path = PROC) -> float:
    """Return the CPU time of a process's children that have ended, s; 0 if it is gone."""
    return _ticks_s(pid, CHILDREN_TIMES, proc)


def shared_out_bytes(pid: int, proc: Path = PROC) -> int:
    """Return a process's memory, of shared pages its share (PSS); 0 where it is not reported."""
    return _field_bytes(proc / str(pid) / "smaps_rollup", "Pss") or 0


def _ticks_s(pid: int, which: slice, proc: Path) -> float:
    try:
        after_name = (proc / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2]
        ticks = sum(int(tick) for tick in after_name.split()[which])
    except (OSError, ValueError):
        return 0.0
    return ticks / os.sysconf("SC_CLK_TCK")


def _limit_bytes(cgroup: Path) -> int | None:
    for name in MEMORY_LIMITS:
        try:
            return int((cgroup / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
    return None


def _field_bytes(path: Path, name: str) -> int | None:
    """Return a field in kB of a kernel table, as bytes."""
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * KIB
    except (OSError, ValueError, IndexError):
        pass
    return None


def _usable() -> int:
    return len(_usable_numbers())


def _usable_numbers() -> set[int]:
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return affinity(0) if affinity else set(range(os.cpu_count() or 1))


def _quota(cgroup: Path) -> float | None:
    """Return the CPUs of the cgroup: version 2's `cpu.max`, or version 1's pair of files."""
    try:
        limit, period = (cgroup / "cpu.max").read_text(encoding="utf-8").split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text(encoding="utf-8")
        period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text(encoding="utf-8")
        return None if int(limit) <= 0 else int(limit) / int(period)
    except (OSError, ValueError):
        return None
