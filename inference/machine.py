"""What this machine is, as far as a container may use it."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
CGROUP = Path("/sys/fs/cgroup")


def cpu_name(cpu_info: Path = CPU_INFO) -> str:
    """The processor as the kernel calls it."""
    try:
        for line in cpu_info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def cores(cgroup: Path = CGROUP) -> int:
    """Cores that may be used: by affinity, and by the quota of the container, rounded up."""
    quota = _quota(cgroup)
    usable = _usable()
    return usable if quota is None else max(1, min(usable, math.ceil(quota)))


def cores_in_words(cgroup: Path = CGROUP) -> str:
    """How many cores, and why no more."""
    granted, usable = cores(cgroup), _usable()
    words = f"{granted} core" + ("" if granted == 1 else "s")
    return words if granted == usable else f"{words} by the container's limit, of {usable}"


def _usable() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _quota(cgroup: Path) -> float | None:
    """CPUs that the control group grants: version 2's `cpu.max`, or version 1's pair of files."""
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
