"""Items that an engine works on for a command: how many at once, and none beyond its time limit."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from inference.config import EngineConfig
from inference.engine.engine import Engine
from inference.engine.request import Single
from inference.engine.reuse import EmbeddingsByDigest
from inference.errors import Overloaded
from inference.types import Item, Result


class InFlight:
    """Starts items and gives up late ones. patience_s: time limit of an item from its start.

    stopped: no more items start once it is set.
    """

    def __init__(self, engine: Engine, patience_s: float) -> None:
        self._engine, self._patience_s = engine, patience_s
        self.stopped = threading.Event()
        # Ordered by deadline, since all items have the same time limit.
        self._started: deque[Single] = deque()

    def start(
        self,
        item: Item,
        done: Callable[[Result], None],
        etag: str | None = None,
        reuse: EmbeddingsByDigest | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        """Start an item, see `Engine.submit`; wait while late items still hold all permits.

        meanwhile: is called again and again while it waits.
        """
        while not self.stopped.is_set():
            deadline_s = time.monotonic() + self._patience_s
            try:
                self._started.append(
                    self._engine.submit(item, deadline_s, done, etag=etag, reuse=reuse)
                )
                return
            except Overloaded as exc:
                meanwhile()
                self.stopped.wait(exc.retry_after_s)

    def give_up_late(self) -> None:
        """Fail the items past their deadline. To be called several times a second."""
        now_s = time.monotonic()
        while self._started and (self._started[0].closed or self._started[0].deadline_s <= now_s):
            self._started.popleft().give_up()

    def close(self) -> None:
        """Start no more items and give up those in flight."""
        self.stopped.set()
        while self._started:
            self._started.popleft().give_up()


def at_once(config: EngineConfig) -> int:
    """Return how many items keep all threads and the encoder busy while the next batch forms.

    No more than that, because an item's time limit begins with its start.
    """
    busy = config.io_threads + config.cpu_threads + 2 * config.streams * config.image.batch_size
    return min(busy, config.max_items_in_flight - config.lane_permits)
