"""The batching threads: run the batches that `scheduler` forms from the items of all requests.

There is one thread per stream, so that many forward passes run at once, and one thread for all
results, so that a stream starts its next batch at once. Meanwhile other threads
fetch and preprocess the items of the next batches, which were announced here before.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from inference.batching.contention import Contention
from inference.batching.forward import Forward
from inference.batching.live_service_times import BatchTimes
from inference.batching.scheduler import Batch, Entry, Scheduler
from inference.config import BatchConfig, EngineConfig
from inference.errors import EncodeFailed
from inference.profile.machine import ProcessorTimes, processor_times
from inference.stalls import Stalls
from inference.types import TOWERS, Lane, Result, Target, Tower
from model.encoder import Encoder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TowerReport:
    """Statistics of one tower. slowdown: live service times over those of its tuning.

    batch_size: the sweet spot. limit: the most items of a batch now. encode_s: total so far.
    """

    batch_size: int
    limit: int
    slowdown: float
    encode_s: float
    waiting: dict[Lane, int]
    batches: dict[int, BatchTimes]


@dataclass(frozen=True)
class Encoded:
    """A batch that ran from `start_s` to `end_s`, instants of the batcher's clock, and its results.

    There is one result per entry; none if all entries were shed.
    """

    batch: Batch
    results: Sequence[Result]
    start_s: float
    end_s: float

    def finish(self) -> None:
        """Hand over the results, and tell the entries that were shed."""
        for entry in self.batch.shed:
            entry.shed()
        for entry, result in zip(self.batch.entries, self.results, strict=True):
            entry.times.add("queue", entry.queued_s, self.start_s)
            entry.times.add("encode", self.start_s, self.end_s)
            entry.done(result)


class Batcher:
    """Makes all calls to the encoders. The callers' permits bound its queues."""

    def __init__(
        self,
        config: EngineConfig,
        stalls: Stalls,
        clock: Callable[[], float] = time.perf_counter,
        processor_times: Callable[[], ProcessorTimes | None] = processor_times,
    ) -> None:
        """processor_times: returns the CPU times of all processes of the service."""
        # Told of every batch before its results are handed over, in the thread that does that.
        self.watch: Callable[[Encoded], None] | None = None
        self._stalls = stalls
        self._clock, self._processor_times = clock, processor_times
        self._forwards: dict[str, Forward] = {}
        self._configs: dict[Target, BatchConfig] = {}
        self._scheduler = Scheduler(config.interactive_wait_s)
        self._changed = threading.Condition()
        self._closing = False
        self._contention: dict[Target, Contention] = {}
        self._running: Counter[str] = Counter()
        self._threads = [
            threading.Thread(target=self._run, name=f"batcher-{number}", daemon=True)
            for number in range(config.streams)
        ]
        self._encoded: queue.SimpleQueue[Encoded | None] = queue.SimpleQueue()
        self._finisher = threading.Thread(target=self._finish, name="batcher-results", daemon=True)
        for thread in (*self._threads, self._finisher):
            thread.start()

    def add(self, model: str, encoder: Encoder, configs: Mapping[Tower, BatchConfig]) -> None:
        """Accept items for a model from now on."""
        targets = {Target(model, tower): configs[tower] for tower in TOWERS}
        with self._changed:
            self._forwards[model] = Forward(encoder, partial(self._keep_to, model))
            self._configs |= targets
            self._scheduler.add(targets)
            self._contention |= {target: Contention(self._processor_times) for target in targets}

    def remove(self, model: str) -> None:
        """Remove a model, once none of its items waits, is expected or runs."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._scheduler.is_idle(model) and not self._running[model]
            )
            self._scheduler.remove(model)
            del self._forwards[model], self._running[model]
            for tower in TOWERS:
                del self._configs[Target(model, tower)], self._contention[Target(model, tower)]

    def expect(self, target: Target, lane: Lane) -> None:
        """Announce an item; `submit` or `withdraw` must follow."""
        with self._changed:
            self._scheduler.expect(target, lane, self._clock())

    def withdraw(self, target: Target, lane: Lane) -> None:
        """Take back an announcement: the item failed before `submit`."""
        with self._changed:
            self._scheduler.withdraw(target, lane)
            self._changed.notify_all()

    def submit(self, target: Target, lane: Lane, entry: Entry) -> None:
        """Queue an announced item. Raises EncodeFailed after `close`."""
        with self._changed:
            if self._closing:  # the threads may have ended
                raise EncodeFailed("the service is stopping")
            if self._scheduler.submit(target, lane, entry, self._clock()):
                self._changed.notify()

    def report(self, target: Target) -> TowerReport:
        """Return a tower's current statistics. Raises KeyError for a model that is not loaded."""
        with self._changed:
            live, waiting = self._scheduler.live[target], self._scheduler.waiting()
            return TowerReport(
                batch_size=self._configs[target].batch_size,
                limit=self._scheduler.batch_size(target, self._clock()),
                slowdown=live.slowdown,
                encode_s=live.total_s,
                waiting={lane: count for (one, lane), count in waiting.items() if one == target},
                batches=live.by_size(),
            )

    def trouble(self) -> str | None:
        """Return why encoding has stopped for good, in words; None when it works."""
        forwards = list(self._forwards.values())
        if forwards and all(forward.broken for forward in forwards):
            return "the encoder fails on everything"
        threads = (*self._threads, self._finisher)
        if not self._closing and not all(thread.is_alive() for thread in threads):
            return "a batching thread has died"
        return None

    def close(self) -> None:
        """Encode the waiting items, then end the threads."""
        with self._changed:
            self._closing = True
            self._scheduler.close()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._encoded.put(None)
        self._finisher.join()

    def _run(self) -> None:
        """Run one batch after another; another thread hands over their results meanwhile."""
        while batch := self._next_batch():
            self._encoded.put(self._encode(batch))

    def _finish(self) -> None:
        """Hand over the results of batches in the order in which they ended."""
        while encoded := self._encoded.get():
            if self.watch is not None and encoded.results:
                self.watch(encoded)
            encoded.finish()
            self._ended(encoded.batch.target.model)

    def _ended(self, model: str) -> None:
        with self._changed:
            self._running[model] -= 1
            self._changed.notify_all()

    def _keep_to(self, model: str, tower: Tower, most: int) -> None:
        with self._changed:
            self._scheduler.keep_to(Target(model, tower), most)
        log.warning("not enough memory: %s batches have at most %d items from now on", tower, most)

    def _next_batch(self) -> Batch | None:
        """Wait for the next batch. None when closed and empty."""
        with self._changed:
            while True:
                now_s = self._clock()
                if batch := self._scheduler.next(now_s):
                    self._running[batch.target.model] += 1
                    return batch
                if self._closing:
                    return None
                self._changed.wait(self._scheduler.wait_s(now_s))

    def _encode(self, batch: Batch) -> Encoded:
        if not batch.entries:
            return Encoded(batch, [], 0.0, 0.0)
        start_s = self._clock()
        payloads = [entry.payload for entry in batch.entries]
        with self._stalls.watch(f"a forward pass of {len(payloads)} {batch.tower}s"):
            results = self._forwards[batch.target.model].run(batch.tower, payloads)
        end_s = self._clock()
        self._note(batch, start_s, end_s)
        return Encoded(batch, results, start_s, end_s)

    def _note(self, batch: Batch, start_s: float, end_s: float) -> None:
        """Record a batch's time; log when other processes start or stop slowing batches."""
        with self._changed:
            contention = self._contention[batch.target]
            slowdown = self._scheduler.ran(batch, end_s - start_s)
            changed = slowdown is not None and contention.note(slowdown, start_s, end_s)
            words = contention.words() if changed else ""
        if changed:
            level = logging.WARNING if contention.verdict.is_slowed else logging.INFO
            log.log(level, "%s batches %s", batch.tower, words)
