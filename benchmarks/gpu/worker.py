"""The process that runs the parts: started anew after one that failed, killed with one that hangs.

It is spawned, not forked: CUDA does not survive a fork.
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

# A part says where it is so long before its end.
LAST_WORDS_S = 1.0
TRACEBACK_CHARS = 6000


def work(connection: Connection, plan: Plan, last_words: Path) -> None:
    """Run parts as they come, until nobody is at the other end, or one has failed.

    Sends its readiness, then of each part its numbers as they come, and how it ended.
    last_words: a file for where the threads are when it crashes, or before its time is over.
    """
    os.setsid()  # whoever kills this group kills what the parts have started, too
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
    except Exception:  # noqa: BLE001 - it is what is to be found out
        error = traceback.format_exc()[-TRACEBACK_CHARS:]
        return Ended("failed", time.monotonic() - start_s, Found(noted.last), error)


class Noted(Box):
    """Keeps what was noted last: it is part of the record of a part that fails."""

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
