"""Runs workers one after another: what ends one is a finding, and the next begins behind it."""

import multiprocessing
import signal
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.check import MAX_CPU_S, Outcome
from tests.fuzz.worker import work

# Of waiting without using CPU, on a machine that does other things.
MAX_STILL_S = 120
POLL_S = 0.2


class Ended(NamedTuple):
    """A worker did, by itself. grown_bytes: since it was warm. printed: by decoders, on stderr."""

    grown_bytes: int
    printed: str


def run(seed, ids):
    """Yield (place in ids, name, outcome) of each, and Ended."""
    spawn = multiprocessing.get_context("spawn")
    start = 0
    with tempfile.TemporaryDirectory() as folder:
        stderr = Path(folder) / "stderr"
        while start < len(ids):
            current = spawn.Value("q", start, lock=False)
            ours, theirs = spawn.Pipe(duplex=False)
            worker = spawn.Process(
                target=work, args=(seed, ids, start, current, theirs, str(stderr)), daemon=True
            )
            worker.start()
            theirs.close()
            grown_bytes = yield from _follow(worker, ours, current)
            worker.join()
            printed = stderr.read_text(errors="replace").strip() if stderr.exists() else ""
            if worker.exitcode == 0:
                yield Ended(grown_bytes, printed)
                return
            start = current.value + 1
            yield current.value, "", Outcome({}, _cause(worker.exitcode, printed))


def _follow(worker, pipe, current):
    """What a worker sends until it ends, at last its growth; one that stands still is ended."""
    place, since_s, grown_bytes = -1, time.monotonic(), 0
    while True:
        if pipe.poll(POLL_S):
            try:
                sent = pipe.recv()
            except EOFError:
                return grown_bytes
            if isinstance(sent, int):
                grown_bytes = sent
            else:
                yield sent
        if current.value != place:
            place, since_s = current.value, time.monotonic()
        elif time.monotonic() - since_s > MAX_STILL_S:
            worker.kill()
            return grown_bytes


def _cause(exit_code, printed):
    if exit_code == -signal.SIGPROF:
        return f"took more than {MAX_CPU_S} s of CPU"
    if exit_code == -signal.SIGKILL:
        return f"stood still for {MAX_STILL_S} s, or the system ended it for its memory"
    name = signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"
    return f"the process ended: {name}\n{printed[-1500:]}"
