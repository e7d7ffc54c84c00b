"""Items of all requests meet here: a queue per tower, one thread for the device.

The decision is `policy.take`; this file only holds the queues and runs what was decided. Images
and texts never share a forward pass, and one runs at a time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from inference import policy
from inference.config import BatchConfig
from inference.errors import EncodeFailed
from inference.stats import StageTimes
from inference.types import Embedding, Failure, Result
from model.encoder import Encoder

log = logging.getLogger(__name__)

Tower = Literal["image", "text"]
TOWERS: tuple[Tower, ...] = ("image", "text")


@dataclass(eq=False)
class Entry:
    """One item ready for a tower.

    payload: uint8 [S, S, 3], or a str. done: called once with the result, unless `wanted`
    says at the last moment that nobody waits; then `shed` is called instead.
    """

    payload: Any
    times: StageTimes
    wanted: Callable[[], bool]
    done: Callable[[Result], None]
    shed: Callable[[], None]
    queued_s: float = field(default_factory=time.perf_counter)


class Batcher:
    """Owns the encoder's calls. Bounded by the permits that its callers hold."""

    def __init__(self, encoder: Encoder, image: BatchConfig, text: BatchConfig) -> None:
        self._encoder = encoder
        self._configs: dict[Tower, BatchConfig] = {"image": image, "text": text}
        self._queues: dict[Tower, deque[Entry]] = {tower: deque() for tower in TOWERS}
        self._expected = dict.fromkeys(TOWERS, 0)
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def expect(self, tower: Tower) -> None:
        """Announce an item; `submit` or `withdraw` must follow."""
        with self._changed:
            self._expected[tower] += 1

    def withdraw(self, tower: Tower) -> None:
        """Take back an announcement: the item failed on its way."""
        with self._changed:
            self._expected[tower] -= 1
            self._changed.notify()

    def submit(self, tower: Tower, entry: Entry) -> None:
        """Hand over an announced item."""
        with self._changed:
            self._expected[tower] -= 1
            self._queues[tower].append(entry)
            self._changed.notify()

    def close(self) -> None:
        """Encode what waits, then end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            tower, entries = batch
            if wanted := [entry for entry in entries if self._is_wanted(entry)]:
                self._serve(tower, wanted)

    def _is_wanted(self, entry: Entry) -> bool:
        wanted = entry.wanted()
        if not wanted:
            entry.shed()
        return wanted

    def _next_batch(self) -> tuple[Tower, list[Entry]] | None:
        """Wait until the policy lets somebody go. None when closed and empty."""
        with self._changed:
            while True:
                now_s = time.perf_counter()
                ready = [(tower, count) for tower in TOWERS if (count := self._take(tower, now_s))]
                if ready:
                    tower, count = min(ready, key=lambda one: self._queues[one[0]][0].queued_s)
                    return tower, [self._queues[tower].popleft() for _ in range(count)]
                if self._closing:
                    return None
                self._changed.wait(self._until_next_s(now_s))

    def _take(self, tower: Tower, now_s: float) -> int:
        queue = self._queues[tower]
        if not queue:
            return 0
        expected = 0 if self._closing else self._expected[tower]
        age_s = now_s - queue[0].queued_s
        config = self._configs[tower]
        return policy.take(len(queue), expected, age_s, config.batch_size, config.max_wait_s)

    def _until_next_s(self, now_s: float) -> float | None:
        """How long the oldest of the waiting may still wait; None when nobody waits."""
        waits_s = [
            self._configs[tower].max_wait_s - (now_s - queue[0].queued_s)
            for tower, queue in self._queues.items()
            if queue
        ]
        return max(0.0, min(waits_s)) if waits_s else None

    def _serve(self, tower: Tower, entries: list[Entry]) -> None:
        start_s = time.perf_counter()
        results = self._encode(tower, [entry.payload for entry in entries])
        end_s = time.perf_counter()
        for entry, result in zip(entries, results, strict=True):
            entry.times.add("queue", entry.queued_s, start_s)
            entry.times.add("encode", start_s, end_s)
            entry.done(result)

    def _encode(self, tower: Tower, payloads: Sequence[Any]) -> Sequence[Result]:
        try:
            if tower == "image":
                return [Embedding(v) for v in self._encoder.encode_images(np.stack(payloads))]
            vectors, truncated = self._encoder.encode_texts(payloads)
            return [Embedding(v, bool(cut)) for v, cut in zip(vectors, truncated, strict=True)]
        except Exception:
            log.exception("a forward pass of %d %ss failed", len(payloads), tower)
            failure = Failure.of(EncodeFailed("the forward pass failed"))
            return [failure] * len(payloads)
