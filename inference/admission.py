"""Admission and bookkeeping: permits for items in flight, and one request's items and results."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from inference.errors import DeadlineExceeded
from inference.stats import StageTimes
from inference.types import Failure, Item, Result


class Permits:
    """A counted budget (items in flight, bytes of bodies) that refuses instead of waiting."""

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._free = count

    @property
    def free(self) -> int:
        """How many are left."""
        return self._free

    def acquire(self, count: int) -> bool:
        """Take `count` at once, or none."""
        with self._lock:
            if count > self._free:
                return False
            self._free -= count
            return True

    def acquire_up_to(self, count: int) -> int:
        """Take as many as are free, at most `count`; gives how many."""
        with self._lock:
            taken = min(count, self._free)
            self._free -= taken
            return taken

    def release(self, count: int = 1) -> None:
        """Give `count` back."""
        with self._lock:
            self._free += count


class Request:
    """The items of one call on their way, and the results that came back."""

    def __init__(self, items: Sequence[Item], deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self.times = StageTimes()
        self.closed = False
        self._results: list[Result | None] = [None] * len(items)
        self._indices: dict[Item, list[int]] = {}
        for index, item in enumerate(items):
            self._indices.setdefault(item, []).append(index)
        self.distinct = len(self._indices)
        self._left = self.distinct
        self._waiting = iter(list(self._indices))
        self._changed = threading.Condition()

    def next(self) -> Item | None:
        """The next distinct item to start; None when there is none or nobody waits."""
        with self._changed:
            return None if self.closed else next(self._waiting, None)

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
        late = Failure.of(DeadlineExceeded("not done before the request's deadline"))
        with self._changed:
            self.closed = True
            return [late if result is None else result for result in self._results]
