"""Decodes in a process of its own, which a crash, a hang or a limit may end."""

import ctypes
import faulthandler
import gc
import os
import resource
import sys
from pathlib import Path

from serve.observe.telemetry import configure_logging
from tests.fuzz.cases import case
from tests.fuzz.check import check, resident
from tests.fuzz.mutate import Case
from tests.images import png

# Beyond what it has: the dearest file takes 1.2 GB. Keeps a runaway from the machine.
MAX_ADDRESS_BYTES = 4 * 2**30
WARM_UP = 500


def work(seed, ids, start, current, pipe, stderr):
    """Check each of `ids` from `start`.

    current: shared, where in `ids` it is. pipe: takes (place, name, outcome) of each, at the end
    how many bytes the process has grown by since it was warm. stderr: a file.
    """
    _redirect(stderr)
    configure_logging()
    check(Case("png", png()))  # imports torch
    faulthandler.enable()
    limit_bytes = resident("VmSize") + MAX_ADDRESS_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
    warm_bytes = 0
    for place in range(start, len(ids)):
        current.value = place
        one = case(seed, ids[place])
        pipe.send((place, one.name, check(one)))
        if place == start + WARM_UP:
            warm_bytes = _settled_bytes()
    pipe.send(_settled_bytes() - warm_bytes if warm_bytes else 0)


def _settled_bytes():
    """Resident, without what the allocator keeps: that alone was 55 MiB after 200,000 images."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return resident("VmRSS")


def _redirect(stderr):
    """Decoders write to file descriptor 2, faulthandler too."""
    with Path(stderr).open("wb") as file:
        os.dup2(file.fileno(), 2)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
