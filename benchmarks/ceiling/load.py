"""The encoder's process: an engine with an instant encoder, and callers that keep it busy.

    python -m benchmarks.ceiling.load PROCESSES URL ...

For each line that it reads it prints a line of JSON, a `Reading`, until standard input is closed.
The first comes once each caller has had a full answer and all processes have started.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.ceiling.instant import InstantEncoder
from inference.config import BatchConfig, EngineConfig, FetchConfig, UrlConfig
from inference.engine.engine import Engine
from inference.profile.machine import cores
from inference.types import Failure, ImageUrl

CALLERS, URLS = 4, 64
BATCH = BatchConfig(batch_size=32)
FETCH = FetchConfig(urls=UrlConfig(allow_hosts=("127.0.0.1",)))
DEADLINE_S, POLL_S = 60.0, 0.1


@dataclass(frozen=True)
class Reading:
    """images: prepared so far. at_s: of `time.monotonic`. roles: of all processes, by id."""

    images: int
    at_s: float
    roles: dict[int, str]


class Load:
    """An engine under load in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def read(self) -> Reading:
        """Return the count of images now. Raises ChildProcessError if the process has ended."""
        if self._process.stdin is None or self._process.stdout is None:
            raise TypeError("the process has no pipes")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        if not (line := self._process.stdout.readline()):
            raise ChildProcessError("the engine under load has ended")
        images, at_s, roles = json.loads(line)
        return Reading(images, at_s, {int(pid): role for pid, role in roles.items()})

    def read_after(self, start: Reading) -> Reading:
        """Return the count once it is above that of `start`."""
        while (now := self.read()).images == start.images:
            time.sleep(POLL_S)
        return now


@contextmanager
def loaded(processes: int, urls: Sequence[str]) -> Iterator[Load]:
    """Start an engine and its callers. Yields once each caller has had a full answer."""
    command = [sys.executable, "-m", __name__, str(processes), *urls]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:  # closes its standard input, at which it ends
        load = Load(process)
        load.read()
        yield load


class _Callers:
    """Threads that ask for `URLS` different images each, or all if there are fewer, and again."""

    def __init__(self, engine: Engine, urls: Sequence[str]) -> None:
        self._engine, self._pool = engine, itertools.cycle(urls)
        self._count = min(URLS, len(urls))
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]
        self._warm = threading.Barrier(CALLERS + 1)
        for thread in self._threads:
            thread.start()

    def wait_warm(self) -> None:
        """Wait until each caller has had a full answer."""
        self._warm.wait()

    def stop(self) -> None:
        """Wait until each caller has had its last answer."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        self._ask()
        self._warm.wait()
        while not self._stopping.is_set():
            self._ask()

    def _ask(self) -> None:
        with self._lock:
            items = [ImageUrl(url) for url in itertools.islice(self._pool, self._count)]
        answer = self._engine.embed(items, time.monotonic() + DEADLINE_S, lane="bulk")
        for result in answer.results:
            if isinstance(result, Failure):
                print(f"an image failed: {result.message}", file=sys.stderr, flush=True)
                os._exit(1)


def main(processes: int, urls: Sequence[str]) -> None:
    config = EngineConfig(image=BATCH, processes=processes, cpu_threads=cores())
    with Engine(InstantEncoder(), FETCH, config) as engine:
        callers = _Callers(engine, urls)
        callers.wait_warm()
        while [*engine.processes().values()].count("preprocess") < processes:
            time.sleep(POLL_S)
        for _ in sys.stdin:
            roles = {os.getpid(): "encoder"} | engine.processes()
            print(json.dumps([engine.images_decoded, time.monotonic(), roles]), flush=True)
        callers.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
