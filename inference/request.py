"""The bookkeeping of one request: its items on their way, and the results that came back."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from inference.errors import DeadlineExceeded
from inference.stats import ItemTimes, StageTimes
from inference.types import Failure, Item, Lane, Result, tower_of

LATE = "not done before the request's deadline"


class Request:
    """The items of one call on their way, and the results that came back."""

    def __init__(self, items: Sequence[Item], deadline_s: float, lane: Lane) -> None:
        self.deadline_s = deadline_s
        self.lane = lane
        self.times = StageTimes()
        self.closed = False
        self._results: list[Result | None] = [None] * len(items)
        self._indices: dict[Item, list[int]] = {}
        for index, item in enumerate(items):
            self._indices.setdefault(item, []).append(index)
        self._left = len(self._indices)
        self._unstarted = deque(self._indices)
        self._changed = threading.Condition()

    @property
    def has_more(self) -> bool:
        """Whether there is a distinct item to start, and somebody who waits for it."""
        return bool(self._unstarted) and not self.closed

    def answer(self, known: Callable[[Item], Result | None]) -> None:
        """Note what is known of the items before any has started; those never start."""
        unknown: deque[Item] = deque()
        for item in self._unstarted:
            if (result := known(item)) is None:
                unknown.append(item)
            else:
                self.finish(item, result)
        self._unstarted = unknown

    def next(self) -> Job:
        """The next distinct item to start. For one thread at a time, while it `has_more`."""
        return Job(self, self._unstarted.popleft())

    def finish(self, item: Item, result: Result) -> None:
        """Note the result of an item, at every index that asked for it."""
        with self._changed:
            if self.closed:
                return
            for index in self._indices[item]:
                self._results[index] = result
            self._left -= 1
            if self._left == 0:
                self._changed.notify()

    def wait(self, at_most_s: float, drain_by_s: float) -> bool:
        """Whether the request is over: all done, or the deadline reached."""
        with self._changed:
            left_s = min(self.deadline_s, drain_by_s) - time.monotonic()
            if self._left and left_s > 0:
                self._changed.wait(min(at_most_s, left_s))
                left_s = min(self.deadline_s, drain_by_s) - time.monotonic()
            return self._left == 0 or left_s <= 0

    def close(self) -> list[Result]:
        """Accept no more results; what is missing exceeded the deadline."""
        late = Failure.of(DeadlineExceeded(LATE))
        with self._changed:
            self.closed = True
            return [late if result is None else result for result in self._results]


class Job:
    """One distinct item of a request on its way, with what each stage took of it."""

    def __init__(self, request: Request, item: Item) -> None:
        self.request, self.item = request, item
        self.tower, self.lane = tower_of(item), request.lane
        self.times = ItemTimes(request.times)

    def finish(self, result: Result) -> None:
        """Note the item's result, with its times."""
        self.request.finish(self.item, replace(result, times_s=self.times.spent_s))
