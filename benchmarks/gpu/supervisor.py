"""Holds parts to their time from outside: what hangs in a driver obeys nobody inside."""

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

# Python, torch and transformers are imported in it.
START_S = 60.0
# With less, no part is worth its start.
MIN_S = 3.0
# Until the kernel has ended all that was killed.
KILL_S = 5.0
LAST_WORDS_CHARS = 6000


class Worker:
    """One process that runs parts. Close it; that kills all that it started."""

    def __init__(self, plan: Plan) -> None:
        context = get_context("spawn")
        self._last_words = plan.folder / "last-words.txt"
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs, plan, self._last_words))
        self._process.start()
        theirs.close()
        if not self._connection.poll(START_S):
            self.close()
            raise TimeoutError(f"the process of the parts did not start in {START_S:.0f} s")
        self._connection.recv()

    def run(self, part: Part, seconds: float, note: Callable[[Numbers], None]) -> Ended:
        """Run a part; what it notes is passed on. After an end that is not ok, close."""
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
        """Kill the group, and wait until it has gone."""
        group = self._process.pid
        assert group is not None
        _kill_group(group)
        self._process.kill()  # one that has not made its group yet
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
        """Nothing is left running."""
        self._drop()

    def run(
        self, parts: Sequence[Part], note: Callable[[Part, Numbers], None]
    ) -> Iterator[tuple[Part, Ended]]:
        """Each part with how it ended; without a machine that is what was asked, none but it."""
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
            self._drop()  # CUDA may be in a state in which nothing works any more
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
    """Processes of a group that have not ended; those that nobody has waited for do not count."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            state, _, own, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(own) == group and state != "Z":
                found.append(int(folder.name))
    return found
