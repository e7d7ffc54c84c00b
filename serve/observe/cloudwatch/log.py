"""Writes the metrics into the log, once a minute and at the end."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import orjson

from inference.engine.engine import Engine
from inference.types import LANES, TOWERS, Lane, Target
from serve.observe.cloudwatch.counts import Counts
from serve.observe.cloudwatch.documents import EngineState, documents

log = logging.getLogger(__name__)

# CloudWatch's own resolution.
EVERY_S = 60.0
# How long the last lines may take.
LAST_S = 2.0


def to_standard_error(lines: str) -> None:
    """Write whole lines to where the log is."""
    sys.stderr.write(lines)
    sys.stderr.flush()


class MetricLog:
    """One thread that writes lines. counts: what it writes, counted by the requests' threads."""

    def __init__(
        self,
        engine: Callable[[], Engine | None],
        endpoint: str,
        *,
        by_model: bool,
        every_s: float = EVERY_S,
        write: Callable[[str], None] = to_standard_error,
    ) -> None:
        """engine: returns None while it loads. by_model: whether the models are few and fixed."""
        self.counts = Counts()
        self._engine, self._endpoint, self._by_model = engine, endpoint, by_model
        self._every_s, self._write = every_s, write
        self._batches: dict[Target, Counter[int]] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cloudwatch", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Write the last lines and end the thread."""
        self._closing.set()
        self._thread.join(LAST_S)

    def _run(self) -> None:
        while not self._closing.wait(self._every_s):
            self._write_lines()
        self._write_lines()

    def _write_lines(self) -> None:
        try:
            at_ms = time.time_ns() // 10**6
            found = documents(self.counts.take(), self._state(), self._endpoint, at_ms)
            self._write("".join(f"{orjson.dumps(one).decode()}\n" for one in found))
        except Exception:
            log.exception("the metrics of a minute are lost")

    def _state(self) -> EngineState | None:
        engine = self._engine()
        if engine is None:
            return None
        queued: Counter[Lane] = Counter(dict.fromkeys(LANES, 0))
        batches: dict[Target, tuple[Counter[int], float]] = {}
        for target in [Target(name, tower) for name in engine.models for tower in TOWERS]:
            with suppress(KeyError):  # it was just unloaded
                report = engine.report(target.tower, target.model)
                queued.update(report.waiting)
                so_far = Counter({n: times.count for n, times in report.batches.items()})
                ran = so_far - self._batches.get(target, Counter())
                if ran and self._by_model:
                    batches[target] = ran, float(report.slowdown)
                    self._batches[target] = so_far
        return EngineState(engine.items_in_flight, queued, batches)
