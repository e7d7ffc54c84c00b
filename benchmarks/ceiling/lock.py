"""How long a process holds its interpreter lock, by py-spy.

py-spy stops the process 100 times a second, looks whether one of its threads holds the lock, and
lets it go on. The share of these samples is the share of time in which no other Python code of that
process can run. It includes time in which the thread that holds the lock waits for a core, so it is
higher on a busy machine; the CPU time of the process, which the benchmark gives beside it, does not
include that, but includes work without the lock. Since the samples slow the process down, they have
a stretch of their own, and the time an image is computed with the images of that stretch.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

RATE_HZ = 100
OPTIONS = ("--gil", "--format", "raw", "--rate", str(RATE_HZ))


def held_share(pid: int, duration_s: int) -> float:
    """Sample a descendant of this process. Returns the share of samples, 0 to 1.

    Raises:
        ChildProcessError: py-spy may not look into the process, for example.
    """
    with tempfile.NamedTemporaryFile() as file:
        where = ("--pid", str(pid), "--duration", str(duration_s), "--output", file.name)
        command = [_py_spy(), "record", *OPTIONS, *where]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise ChildProcessError(f"py-spy: {done.stderr}")
        return held_samples(Path(file.name).read_text()) / (RATE_HZ * duration_s)


def held_samples(raw: str) -> int:
    """Count the samples in py-spy's raw format: `frame;frame;frame COUNT` in each line."""
    return sum(int(line.rpartition(" ")[2]) for line in raw.splitlines())


def _py_spy() -> str:
    """Return the path of the program, which pip puts beside Python."""
    return shutil.which("py-spy", path=str(Path(sys.executable).parent)) or "py-spy"
