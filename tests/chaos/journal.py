"""Which faults were under way when: what explains a failure, and what does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Faults of the worker, and of the processes that prepare images, of which no answer may tell; the
# other faults are the image server's moods.
KILL, DRAIN = "kill", "drain"
WORKER = frozenset({KILL, DRAIN})
PROCESS, FORK = "process killed", "fork server killed"
PROCESSES = frozenset({PROCESS, FORK})


class Journal:
    """Spans of faults, in s of `time.monotonic`. Safe from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[tuple[str, float, float]] = []

    def note(self, fault: str) -> None:
        """A fault that takes no time."""
        with self.during(fault):
            pass

    @contextmanager
    def during(self, fault: str) -> Iterator[None]:
        """A fault that is under way while the block runs."""
        with self._lock:
            place, start_s = len(self._spans), time.monotonic()
            self._spans.append((fault, start_s, float("inf")))
        try:
            yield
        finally:
            with self._lock:
                self._spans[place] = (fault, start_s, time.monotonic())

    def between(self, start_s: float, end_s: float) -> frozenset[str]:
        """The faults that were under way at any time between two instants."""
        return frozenset(fault for fault, _, _ in self._overlapping(start_s, end_s))

    def worker_away_s(self, start_s: float, end_s: float) -> float:
        """How long there was no worker between two instants."""
        return sum(
            min(end_s, until_s) - max(start_s, since_s)
            for fault, since_s, until_s in self._overlapping(start_s, end_s)
            if fault in WORKER
        )

    def spans_s(self, fault: str) -> list[float]:
        """How long each of a kind took."""
        with self._lock:
            return [end_s - start_s for one, start_s, end_s in self._spans if one == fault]

    def _overlapping(self, start_s: float, end_s: float) -> list[tuple[str, float, float]]:
        with self._lock:
            return [one for one in self._spans if one[1] <= end_s and one[2] >= start_s]
