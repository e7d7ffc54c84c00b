"""Which items go next: a queue per tower and lane, and the rules of `policy` over them.

Pure but for what it remembers: no thread, no clock, no encoder. Every call is told the time, so
that its laws can be tested in a time of their own. Instants are of one monotonic clock, s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inference import policy
from inference.config import BatchConfig
from inference.live import LiveTimes
from inference.stats import ItemTimes
from inference.types import LANES, TOWERS, Lane, Result, Tower


@dataclass(eq=False)
class Entry:
    """One item ready for a tower.

    payload: uint8 [S, S, 3], or a str. done: called once with the result, unless `wanted`
    says at the last moment that nobody waits; then `shed` is called instead.
    """

    payload: Any
    times: ItemTimes
    wanted: Callable[[], bool]
    done: Callable[[Result], None]
    shed: Callable[[], None]
    queued_s: float = 0.0


@dataclass(frozen=True)
class Batch:
    """What leaves together. shed: taken out beside them, since nobody waits for them."""

    tower: Tower
    lane: Lane
    entries: list[Entry]
    shed: list[Entry]


@dataclass(eq=False)
class _Queue:
    entries: deque[Entry] = field(default_factory=deque)
    expected: int = 0


class Scheduler:
    """Not thread-safe: its owner holds a lock. Bounded by the permits of those who submit."""

    def __init__(self, configs: Mapping[Tower, BatchConfig], interactive_wait_s: float) -> None:
        self._configs = configs
        self._interactive_wait_s = interactive_wait_s
        self._queues = {(tower, lane): _Queue() for tower in TOWERS for lane in LANES}
        self._last_interactive_s = float("-inf")
        # What interactive items got while bulk ones waited, less what bulk ones were given for it.
        self._interactive_s = 0.0
        self._closing = False
        self._most: dict[Tower, int] = {}
        self.live = {tower: LiveTimes(configs[tower].curve) for tower in TOWERS}

    def expect(self, tower: Tower, lane: Lane, now_s: float) -> None:
        """Announce an item; `submit` or `withdraw` must follow."""
        self._queues[tower, lane].expected += 1
        if lane == "interactive":
            self._last_interactive_s = now_s

    def withdraw(self, tower: Tower, lane: Lane) -> None:
        """Take back an announcement: the item failed on its way."""
        self._queues[tower, lane].expected -= 1

    def submit(self, tower: Tower, lane: Lane, entry: Entry, now_s: float) -> None:
        """Hand over an announced item."""
        entry.queued_s = now_s
        queue = self._queues[tower, lane]
        queue.expected -= 1
        queue.entries.append(entry)

    def close(self) -> None:
        """Nothing more comes: whatever waits leaves at once."""
        self._closing = True

    def next(self, now_s: float) -> Batch | None:
        """The batch that leaves now, asked while the encoder is idle; None is to wait.

        Interactive items go first, unless bulk ones are due their share; among equals, whoever
        waited longest. An encoder with other work to do does not idle for company.
        """
        bulk = self._oldest_ready("bulk", now_s, others_ready=False)
        interactive = self._oldest_ready("interactive", now_s, others_ready=bulk is not None)
        if bulk is None or interactive is None:
            self._interactive_s = 0.0
        elif self._interactive_s >= (price_s := policy.price_s(self._predicted_s(*bulk))):
            self._interactive_s -= price_s
            return self._pop("bulk", *bulk)
        if interactive is not None:
            return self._pop("interactive", *interactive)
        return self._pop("bulk", *bulk) if bulk is not None else None

    def ran(self, batch: Batch, service_s: float) -> None:
        """A batch has run: remember what it took."""
        self.live[batch.tower].record(len(batch.entries), service_s)
        if batch.lane == "interactive":
            self._interactive_s += service_s

    def wait_s(self, now_s: float) -> float | None:
        """How long until `next` may say otherwise by itself; None when nobody waits."""
        waits_s = [
            self._configs[tower].max_wait_s - (now_s - queue.entries[0].queued_s)
            for (tower, _), queue in self._queues.items()
            if queue.entries
        ]
        return max(0.0, min(waits_s)) if waits_s else None

    def batch_size(self, tower: Tower, now_s: float) -> int:
        """The most items of a batch now: the sweet spot, or less while interactive items come."""
        config = self._configs[tower]
        size = config.batch_size
        if now_s - self._last_interactive_s <= policy.INTERACTIVE_MEMORY_S:
            size = policy.capped(config, self.live[tower].slowdown, self._interactive_wait_s)
        return min(size, self._most.get(tower, size))

    def keep_to(self, tower: Tower, most: int) -> None:
        """No batch of more than `most` from now on: memory does not hold it."""
        self._most[tower] = min(most, self._most.get(tower, most))

    def waiting(self) -> dict[tuple[Tower, Lane], int]:
        """How many items are ready to be encoded."""
        return {key: len(queue.entries) for key, queue in self._queues.items()}

    def _oldest_ready(
        self, lane: Lane, now_s: float, *, others_ready: bool
    ) -> tuple[Tower, int] | None:
        """The tower whose items may leave, and how many of them."""
        ready = [
            (self._queues[tower, lane].entries[0].queued_s, tower, count)
            for tower in TOWERS
            if (count := self._take(tower, lane, now_s, others_ready=others_ready))
        ]
        return min(ready)[1:] if ready else None

    def _take(self, tower: Tower, lane: Lane, now_s: float, *, others_ready: bool) -> int:
        queue, config = self._queues[tower, lane], self._configs[tower]
        if not queue.entries:
            return 0
        expected = 0 if self._closing or others_ready else queue.expected
        age_s = now_s - queue.entries[0].queued_s
        size = self.batch_size(tower, now_s)
        return policy.take(len(queue.entries), expected, age_s, size, config.max_wait_s)

    def _predicted_s(self, tower: Tower, n: int) -> float:
        curve = self._configs[tower].curve
        if curve is None:
            return self._interactive_wait_s
        return self.live[tower].slowdown * curve.latency_ms(n) / 1000

    def _pop(self, lane: Lane, tower: Tower, count: int) -> Batch:
        """Take `count` items that somebody waits for; what nobody waits for leaves beside them."""
        entries: list[Entry] = []
        shed: list[Entry] = []
        queue = self._queues[tower, lane].entries
        while queue and len(entries) < count:
            entry = queue.popleft()
            (entries if entry.wanted() else shed).append(entry)
        return Batch(tower, lane, entries, shed)
