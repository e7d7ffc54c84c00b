"""The process that runs the parts. It is replaced after a part that fails or hangs.

It is spawned, not forked: CUDA does not work after a fork.
"""

from __future__ import annotations

import faulthandler
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.gpu.parts import Part
from benchmarks.gpu.plan import Box, Ended, Found, Numbers, Plan, Skipped, of_found

# The tracebacks of all threads are written this long before the time limit.
LAST_WORDS_S = 1.0
TRACEBACK_CHARS = 6000


def work(connection: Connection, plan: Plan, last_words: Path) -> None:
    """Run received parts until the connection is closed or a part fails.

    Sends None when ready; then, for each part, intermediate numbers and an Ended.
    last_words: a file for the threads' tracebacks after a crash or shortly before the time limit.
    """
    os.setsid()  # killing this group also kills processes that parts started
    connection.send(None)
    with suppress(EOFError):
        ended = None
        while ended is None or ended.state in {"ok", "skipped"}:
            part, seconds = connection.recv()
            with _last_words(last_words, seconds):
                ended = run(part, plan, Box(seconds, connection.send))
            connection.send(ended)


def run(part: Part, plan: Plan, box: Box) -> Ended:
    """Run one part in this process."""
    start_s, noted = time.monotonic(), Noted(box)
    try:
        return of_found(part.load()(plan, noted), time.monotonic() - start_s)
    except Skipped as exc:
        return Ended("skipped", time.monotonic() - start_s, Found(headline=str(exc)))
    except Exception:  # noqa: BLE001 - any failure is a result
        error = traceback.format_exc()[-TRACEBACK_CHARS:]
        return Ended("failed", time.monotonic() - start_s, Found(noted.last), error)


class Noted(Box):
    """A box that keeps the last numbers, for the record of a part that fails."""

    def __init__(self, box: Box) -> None:
        super().__init__(box.left_s, self._keep)
        self._tell = box.note
        self.last: Numbers = {}

    def _keep(self, numbers: Numbers) -> None:
        self.last = numbers
        self._tell(numbers)


@contextmanager
def _last_words(path: Path, seconds: float) -> Iterator[None]:
    with path.open("w") as file:
        faulthandler.enable(file)
        faulthandler.dump_traceback_later(max(0.1, seconds - LAST_WORDS_S), file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            faulthandler.disable()
