"""Picks the next batch: one queue per model, tower and lane, with the rules of `policy`.

Models share the device time: in each lane, the ready model that has had the least goes first.

The scheduler has state but no thread, clock or encoder. Callers pass the time, so tests control
it. Instants are of one monotonic clock, s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inference.batching import policy
from inference.batching.live_service_times import LiveServiceTimes
from inference.config import BatchConfig
from inference.stats import ItemTimes
from inference.types import LANES, Lane, Result, Target, Tower


@dataclass(eq=False)
class Entry:
    """One item ready for a tower.

    payload: uint8 [S, S, 3], or a str. done: called once with the result. If `wanted` returns
    False when the batch forms, `shed` is called instead.
    """

    payload: Any
    times: ItemTimes
    wanted: Callable[[], bool]
    done: Callable[[Result], None]
    shed: Callable[[], None]
    queued_s: float = 0.0


@dataclass(frozen=True)
class Batch:
    """The items of one forward pass. shed: items taken from the queue that are not wanted."""

    target: Target
    lane: Lane
    entries: list[Entry]
    shed: list[Entry]

    @property
    def tower(self) -> Tower:
        """The tower that encodes the batch."""
        return self.target.tower


@dataclass(eq=False)
class _Queue:
    entries: deque[Entry] = field(default_factory=deque)
    expected: int = 0


class Scheduler:
    """Queues of ready items. Not thread-safe: its owner holds a lock. Callers' permits bound it."""

    def __init__(self, interactive_wait_s: float) -> None:
        self._interactive_wait_s = interactive_wait_s
        self._configs: dict[Target, BatchConfig] = {}
        self._queues: dict[tuple[Target, Lane], _Queue] = {}
        self._most: dict[Target, int] = {}
        # Device time of each model, s. After idling, a model gets at least the least busy one's.
        self._had_s: dict[str, float] = {}
        self._last_interactive_s = float("-inf")
        # Time of interactive batches while bulk items waited, less the price of bulk batches, s.
        self._interactive_s = 0.0
        self._closing = False
        self.live: dict[Target, LiveServiceTimes] = {}

    def add(self, configs: Mapping[Target, BatchConfig]) -> None:
        """Accept items of these targets from now on."""
        for target, config in configs.items():
            self._configs[target] = config
            self.live[target] = LiveServiceTimes(config.curve)
            self._had_s.setdefault(target.model, 0.0)
            for lane in LANES:
                self._queues[target, lane] = _Queue()

    def remove(self, model: str) -> None:
        """Remove a model that has no waiting and no expected items."""
        for target in [one for one in self._configs if one.model == model]:
            del self._configs[target], self.live[target]
            self._most.pop(target, None)
            for lane in LANES:
                del self._queues[target, lane]
        del self._had_s[model]

    def is_idle(self, model: str) -> bool:
        """Return whether no item of a model waits or is expected."""
        return not any(
            queue.entries or queue.expected
            for (target, _), queue in self._queues.items()
            if target.model == model
        )

    def expect(self, target: Target, lane: Lane, now_s: float) -> None:
        """Announce an item; `submit` or `withdraw` must follow."""
        self._come_back(target.model)
        self._queues[target, lane].expected += 1
        if lane == "interactive":
            self._last_interactive_s = now_s

    def withdraw(self, target: Target, lane: Lane) -> None:
        """Take back an announcement: the item failed before `submit`."""
        self._queues[target, lane].expected -= 1

    def submit(self, target: Target, lane: Lane, entry: Entry, now_s: float) -> bool:
        """Queue an announced item. Return whether `next` or `wait_s` may have changed by it."""
        entry.queued_s = now_s
        queue = self._queues[target, lane]
        queue.expected -= 1
        queue.entries.append(entry)
        ready = self._take(target, lane, now_s, others_ready=False)
        return len(queue.entries) == 1 or ready > 0

    def close(self) -> None:
        """Expect no more items: waiting items no longer wait for others."""
        self._closing = True

    def next(self, now_s: float) -> Batch | None:
        """Return the batch to run now on an idle encoder; None means wait.

        Interactive items go first, unless bulk items are due their share. Ties go to the item that
        waited longest. Interactive items do not wait for others while a bulk batch is ready.
        """
        bulk = self._first_ready("bulk", now_s, others_ready=False)
        interactive = self._first_ready("interactive", now_s, others_ready=bulk is not None)
        if bulk is None or interactive is None:
            self._interactive_s = 0.0
        elif self._interactive_s >= (price_s := policy.price_s(self._predicted_s(*bulk))):
            self._interactive_s -= price_s
            return self._pop("bulk", *bulk)
        if interactive is not None:
            return self._pop("interactive", *interactive)
        return self._pop("bulk", *bulk) if bulk is not None else None

    def ran(self, batch: Batch, service_s: float) -> float | None:
        """Record a batch's time. Return it over the curve's time; None without a curve."""
        self._had_s[batch.target.model] += service_s
        if batch.lane == "interactive":
            self._interactive_s += service_s
        return self.live[batch.target].record(len(batch.entries), service_s)

    def wait_s(self, now_s: float) -> float | None:
        """Return how long until `next` may change by itself; None when no item waits."""
        waits_s = [
            self._configs[target].max_wait_s - (now_s - queue.entries[0].queued_s)
            for (target, _), queue in self._queues.items()
            if queue.entries
        ]
        return max(0.0, min(waits_s)) if waits_s else None

    def batch_size(self, target: Target, now_s: float) -> int:
        """Return the largest batch now: the sweet spot, or less while interactive items come."""
        config = self._configs[target]
        size = config.batch_size
        if now_s - self._last_interactive_s <= policy.INTERACTIVE_MEMORY_S:
            # An image alone may have the cores of all streams, so be faster than the curve. The
            # batches after it are not.
            slowdown = max(1.0, self.live[target].slowdown)
            size = policy.capped(config, slowdown, self._interactive_wait_s)
        return min(size, self._most.get(target, size))

    def keep_to(self, target: Target, most: int) -> None:
        """Limit batches to `most` items from now on: larger ones do not fit in memory."""
        self._most[target] = min(most, self._most.get(target, most))

    def waiting(self) -> dict[tuple[Target, Lane], int]:
        """Return the number of items ready to be encoded, by target and lane."""
        return {key: len(queue.entries) for key, queue in self._queues.items()}

    def _first_ready(
        self, lane: Lane, now_s: float, *, others_ready: bool
    ) -> tuple[Target, int] | None:
        """Return the ready target of the model with the least time, and how many items to take."""
        ready = [
            (self._had_s[target.model], self._queues[target, lane].entries[0].queued_s, target, n)
            for target in self._configs
            if (n := self._take(target, lane, now_s, others_ready=others_ready))
        ]
        return min(ready)[2:] if ready else None

    def _come_back(self, model: str) -> None:
        """Raise an idle model's time to the least busy one's: idling earns no priority."""
        if len(self._had_s) == 1 or not self.is_idle(model):
            return
        busy_s = [had_s for one, had_s in self._had_s.items() if not self.is_idle(one)]
        self._had_s[model] = max(self._had_s[model], min(busy_s, default=0.0))

    def _take(self, target: Target, lane: Lane, now_s: float, *, others_ready: bool) -> int:
        queue, config = self._queues[target, lane], self._configs[target]
        if not queue.entries:
            return 0
        expected = 0 if self._closing or others_ready else queue.expected
        age_s = now_s - queue.entries[0].queued_s
        size = self.batch_size(target, now_s)
        return policy.take(len(queue.entries), expected, age_s, size, config.max_wait_s)

    def _predicted_s(self, target: Target, n: int) -> float:
        curve = self._configs[target].curve
        if curve is None:
            return self._interactive_wait_s
        return self.live[target].slowdown * curve.latency_ms(n) / 1000

    def _pop(self, lane: Lane, target: Target, count: int) -> Batch:
        """Take up to `count` wanted items; unwanted items before them are shed."""
        entries: list[Entry] = []
        shed: list[Entry] = []
        queue = self._queues[target, lane].entries
        while queue and len(entries) < count:
            entry = queue.popleft()
            (entries if entry.wanted() else shed).append(entry)
        return Batch(target, lane, entries, shed)
