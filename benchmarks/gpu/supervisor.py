"""Time limits of parts, enforced from another process: a hang in a driver needs a kill."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Self

from benchmarks.gpu.parts import FIRST, Part
from benchmarks.gpu.plan import Ended, Found, Numbers, Plan
from benchmarks.gpu.worker import work

# Includes the imports of torch and transformers.
START_S = 60.0
# No part is started with less time left.
MIN_S = 3.0
# Limit for killed processes to disappear.
KILL_S = 5.0
LAST_WORDS_CHARS = 6000


class Worker:
    """A process that runs parts. `close` kills it and all processes that it started."""

    def __init__(self, plan: Plan) -> None:
        context = get_context("spawn")
        self._last_words = plan.folder / "last-words.txt"
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs, plan, self._last_words))
        self._process.start()
        theirs.close()
        if not self._connection.poll(START_S):
            self.close()
            raise TimeoutError(f"the worker process did not start in {START_S:.0f} s")
        self._connection.recv()

    def run(self, part: Part, seconds: float, note: Callable[[Numbers], None]) -> Ended:
        """Run a part and pass on its notes. Close the worker unless it ended ok or skipped."""
        start_s, noted = time.monotonic(), Found()
        try:
            self._connection.send((part, seconds))
            while self._connection.poll(max(0.0, start_s + seconds - time.monotonic())):
                said = self._connection.recv()
                if isinstance(said, Ended):
                    return said
                noted = Found(said)
                note(said)
            state = "out of time"
        except (EOFError, OSError):
            state = "died"
        return Ended(state, time.monotonic() - start_s, noted, self._said_last())

    def close(self) -> None:
        """Kill the process group, and wait until it has ended."""
        group = self._process.pid
        assert group is not None
        _kill_group(group)
        self._process.kill()  # in case it has no group of its own yet
        self._process.join()
        self._connection.close()

    def _said_last(self) -> str:
        with suppress(OSError):
            return self._last_words.read_text(errors="replace")[-LAST_WORDS_CHARS:]
        return ""


class Supervisor:
    """Runs parts one after another within a budget. Open with `with`."""

    def __init__(self, plan: Plan, budget_s: float) -> None:
        self._plan = plan
        self._end_s = time.monotonic() + budget_s
        self._worker: Worker | None = None

    def __enter__(self) -> Self:
        """The supervisor itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Kill the worker."""
        self._drop()

    def run(
        self, parts: Sequence[Part], note: Callable[[Part, Numbers], None]
    ) -> Iterator[tuple[Part, Ended]]:
        """Yield each part with its end; skip the others when the first part is not ok."""
        refused = ""
        for part in parts:
            if refused:
                yield part, Ended("skipped", 0.0, Found(headline=refused))
                continue
            ended = self._one(part, partial(note, part))
            yield part, ended
            if part.name == FIRST and ended.state != "ok":
                refused = "the machine is not what was asked for"

    def _one(self, part: Part, note: Callable[[Numbers], None]) -> Ended:
        left_s = self._end_s - time.monotonic()
        if left_s < MIN_S:
            return Ended("skipped", 0.0, Found(headline="no time was left"))
        try:
            self._worker = self._worker or Worker(self._plan)
        except (OSError, EOFError) as exc:
            return Ended("died", 0.0, error=f"{type(exc).__name__}: {exc}")
        ended = self._worker.run(part, min(part.seconds, left_s), note)
        if ended.state not in {"ok", "skipped"}:
            self._drop()  # CUDA may be unusable after an error
        return ended

    def _drop(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def _kill_group(group: int) -> None:
    end_s = time.monotonic() + KILL_S
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
        while time.monotonic() < end_s and _members(group):
            time.sleep(0.02)


def _members(group: int) -> list[int]:
    """Return the processes of a group that still run; zombies do not count."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            state, _, own, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(own) == group and state != "Z":
                found.append(int(folder.name))
    return found
