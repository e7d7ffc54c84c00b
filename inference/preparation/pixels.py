"""Many images to pixels, without an encoder: as many at once as keep the stage busy."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from queue import Empty, SimpleQueue

from inference.config import EngineConfig
from inference.errors import DeadlineExceeded, RequestError
from inference.preparation.order import SHED, Stage, Task
from inference.stalls import Stalls
from inference.types import ImageDetails, Item
from model.encoder import Preprocessing, UInt8Array

# How often late images and broken stages are looked for while nothing comes.
CLOCK_CHECK_S = 0.2
# uint8 [S, S, 3], or why there are none.
Outcome = UInt8Array | Exception


class StageBroken(RequestError):
    """The stage can prepare nothing more. The message says why."""


class PixelStream:
    """Prepares images on a stage, which stays the caller's.

    way: of all images. patience_s: time limit of an image from its start.
    """

    def __init__(
        self, stage: Stage, config: EngineConfig, way: Preprocessing, patience_s: float
    ) -> None:
        self._stage, self._way, self._patience_s = stage, way, patience_s
        self._stalls = Stalls(config.stall_s)
        busy = 2 * (config.io_threads + config.cpu_threads)
        self._at_once = min(busy, config.max_items_in_flight)
        # A SimpleQueue: a signal handler may put into it, but not into a Queue.
        self._events: SimpleQueue[_Ended | Exception] = SimpleQueue()
        # By index, ordered by deadline, since all have the same time limit.
        self._started: dict[int, _Order] = {}

    def interrupt(self, why: Exception) -> None:
        """Make `pixels` raise `why`, from any thread or a signal handler."""
        self._events.put(why)

    def pixels(self, items: Iterable[tuple[int, Item]]) -> Generator[tuple[int, Outcome]]:
        """Yield each item's index and outcome, in the order in which they are done.

        items: images under different indexes; is asked for the next one only when it may start.
        Pixels are to be used or copied before the next ones are asked for.

        Raises:
            StageBroken. Exception: as given to `interrupt`, or from `items`.
        """
        waiting = iter(items)
        try:
            while self._start(waiting):
                yield from self._arrived()
        finally:
            for order in self._started.values():
                order.given_up = True

    def _start(self, waiting: Iterator[tuple[int, Item]]) -> bool:
        """Start as many as may start. Return whether any are under way."""
        while len(self._started) < self._at_once:
            found = next(waiting, None)
            if found is None:
                break
            index, item = found
            deadline_s = time.monotonic() + self._patience_s
            task = Task(item, "bulk", deadline_s, (self._way,))
            order = self._started[index] = _Order(index, task, self._events.put, self._stalls)
            self._stage.start(order)
        return bool(self._started)

    def _arrived(self) -> Iterator[tuple[int, Outcome]]:
        """Yield what has come; wait up to CLOCK_CHECK_S for the first."""
        yield from self._late()
        try:
            event = self._events.get(timeout=CLOCK_CHECK_S)
        except Empty:
            if trouble := self._stalls.found() or self._stage.trouble():
                raise StageBroken(trouble) from None
            return
        if isinstance(event, Exception):
            raise event
        try:
            if self._started.pop(event.order.index, None) is not None:
                yield event.order.index, event.outcome
        finally:
            event.release()

    def _late(self) -> Iterator[tuple[int, Outcome]]:
        now_s = time.monotonic()
        while self._started:
            index, order = next(iter(self._started.items()))
            if order.task.deadline_s > now_s:
                return
            order.given_up = True
            del self._started[index]
            yield index, DeadlineExceeded("it took longer than the deadline allows")


class _Ended:
    """What became of an order. release: frees the pixels."""

    def __init__(self, order: _Order, outcome: Outcome, release: Callable[[], None]) -> None:
        self.order, self.outcome, self.release = order, outcome, release


class _Order:
    """An image under way, as `inference.preparation.order.Order`."""

    def __init__(
        self, index: int, task: Task, tell: Callable[[_Ended], None], stalls: Stalls
    ) -> None:
        self.index, self.task, self._tell, self._stalls = index, task, tell, stalls
        self.given_up = False

    def wanted(self) -> bool:
        return not self.given_up

    def spent(self, stage: str, start_s: float, end_s: float) -> None:
        """Nobody asks for the times."""

    def decoding(self) -> AbstractContextManager[None]:
        return self._stalls.watch("the decoding of an image")

    def noted(self, details: ImageDetails) -> None:
        """The task asks for none."""

    def ready(self, pixels: Sequence[UInt8Array], release: Callable[[], None]) -> None:
        if self.given_up:
            raise DeadlineExceeded(SHED)
        self._tell(_Ended(self, pixels[0], release))

    def failed(self, exc: Exception) -> None:
        self._tell(_Ended(self, exc, _nothing))


def _nothing() -> None:
    """There are no pixels to release."""
