"""What a service holds of its machine: threads, open files and memory, by `/proc`."""

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.containers.processes import rss_mib


class Footprint(NamedTuple):
    """Of all processes of a session together."""

    threads: int
    files: int
    rss_mib: float

    @classmethod
    def of(cls, session):
        """session: the process id of its leader."""
        parts = [part for folder in Path("/proc").glob("[0-9]*") for part in _part(folder, session)]
        return cls(*map(sum, zip(*parts, strict=True)))


def _part(folder, session):
    """The footprint of this process, if it is of the session and still there."""
    pid = int(folder.name)
    with suppress(OSError):
        if os.getsid(pid) == session:
            threads, files = (len(list((folder / part).iterdir())) for part in ("task", "fd"))
            yield threads, files, rss_mib(pid)
