"""Embeds parts with one engine, and writes them."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, replace

from inference.engine.engine import Engine
from inference.profile.machine import processor_times
from inference.types import Failure, Result
from serve.commands.bulk.embedding.feeder import Feeder
from serve.commands.bulk.embedding.open_part import OpenPart
from serve.commands.bulk.inputs.rows import Reader
from serve.commands.bulk.inputs.splits import Split
from serve.commands.bulk.output.outcomes import Outcomes
from serve.commands.bulk.output.part_files import PartReport
from serve.commands.bulk.output.parts import Parts
from serve.commands.bulk.previous import Earlier, Previous

# Parts in work at once. While the first waits for its slow URLs, the rows of the others go on.
OPEN_PARTS = 4
# Rows that may be lost of an open part when the process is killed: others are saved.
UNSAVED_ROWS = 256


@dataclass(frozen=True)
class Work:
    """What a worker does with each part. Can be pickled.

    patience_s: time limit of a row. per_host: requests at once to one host; None is any number.
    retry: whole parts are done again, but for what lasts of them. previous: an earlier output.
    """

    reader: Reader
    parts: Parts
    patience_s: float
    per_host: int | None = None
    retry: bool = False
    previous: Earlier | None = None

    def of_host(self, per_host: int | None) -> Work:
        """Return the same with another limit of requests at once to one host."""
        return replace(self, per_host=per_host)


class Worker:
    """Embeds parts; call `run` from as many threads as there shall be open parts."""

    def __init__(self, engine: Engine, work: Work) -> None:
        self._engine, self._work = engine, work
        self._previous = work.previous and Previous(work.previous, work.parts.place)
        self._lock = threading.Lock()
        self._cpu_s = self._cpu_so_far_s()
        self.seen: Counter[str] = Counter()
        self._feeder = Feeder(engine, work.patience_s, work.per_host, self._count)

    def run(self, split: Split) -> PartReport:
        """Embed a part and write it. Saves what is done of it as it goes on, and before it raises.

        Raises:
            Stopped: by `stop`. JobError: the input has changed, or the encoder is broken. OSError.
        """
        parts = self._work.parts
        if not self._work.retry and parts.files.is_whole(split.part):
            # Dealt out again: its actor was lost after the end.
            return parts.files.report(split.part)
        part = self._open(split)
        self._feeder.open(part)
        try:
            while unsaved := part.wait(UNSAVED_ROWS):
                parts.save(split.part, part.outcomes, unsaved)
            cpu_s, again = self._cpu_since_s(), self._work.retry
            return parts.write(split.part, part.rows, part.outcomes, cpu_s, again=again)
        except BaseException:
            if unsaved := part.take_unsaved():
                parts.save(split.part, part.outcomes, unsaved)
            raise
        finally:
            self._feeder.close(part)

    def stop(self, why: Exception) -> None:
        """Make all calls of `run` raise, now and later."""
        self._feeder.stop(why)

    def _open(self, split: Split) -> OpenPart:
        rows, parts = self._work.reader.read(split), self._work.parts
        outcomes = Outcomes(split.rows, parts.dimension)
        if self._work.retry and parts.files.is_whole(split.part):
            parts.restore_lasting(split.part, outcomes)
        parts.restore(split.part, outcomes, lasting=self._work.retry)
        done = [one for one in outcomes.found if one is not None]
        failed = sum(one.code is not None for one in done)
        with self._lock:
            self.seen += Counter(embedded=len(done) - failed, failed=failed)
        return OpenPart(rows, outcomes, self._previous.of(rows.urls) if self._previous else {})

    def _count(self, result: Result) -> None:
        with self._lock:
            self.seen["failed" if isinstance(result, Failure) else "embedded"] += 1

    def _cpu_since_s(self) -> float:
        """Return the CPU time since the last call."""
        with self._lock:
            before, self._cpu_s = self._cpu_s, self._cpu_so_far_s()
            return self._cpu_s - before

    def _cpu_so_far_s(self) -> float:
        times = processor_times(self._engine.processes())
        return times.own_s if times else 0.0
