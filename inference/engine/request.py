"""Bookkeeping of one request: its items in progress and its results."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from inference.engine.reuse import EmbeddingsByDigest
from inference.errors import DeadlineExceeded
from inference.stats import ItemTimes, StageTimes
from inference.types import (
    Embedding,
    Embeddings,
    Failure,
    ImageDetails,
    Item,
    Lane,
    Result,
    Target,
    tower_of,
)

LATE_MESSAGE = "not done before the request's deadline"
LATE = Failure.of(DeadlineExceeded(LATE_MESSAGE))


@dataclass(frozen=True)
class Extras:
    """What a caller asks for beside the embedding of an image.

    details: whether the result has them. etag: of an image that is not fetched again. reuse: gives
    the item the embedding of another of the same bytes; it needs the details.
    """

    details: bool = False
    etag: str | None = None
    reuse: EmbeddingsByDigest | None = None


class Request:
    """The items in progress and the results of one call.

    keep: no more items start while this many results wait to be taken; None is no limit, for a
    caller that takes all results at the end. models: each embeds every item. several: a result maps
    model names to embeddings, even if there is only one model. times: None is new ones.
    """

    extras = Extras()

    def __init__(
        self,
        items: Sequence[Item],
        deadline_s: float,
        lane: Lane,
        keep: int | None = None,
        models: tuple[str, ...] = ("",),
        *,
        several: bool = False,
        times: StageTimes | None = None,
    ) -> None:
        self.deadline_s = deadline_s
        self.lane = lane
        self.models, self.several = models, several
        self.times = StageTimes() if times is None else times
        self.closed = False
        self._keep = keep
        self._indices: dict[Item, list[int]] = {}
        for index, item in enumerate(items):
            self._indices.setdefault(item, []).append(index)
        self._left = len(self._indices)
        self._unstarted = deque(self._indices)
        self._finished: deque[tuple[list[int], Result]] = deque()
        self._changed = threading.Condition()

    @property
    def has_more(self) -> bool:
        """Whether a distinct item remains to start and the request is still open."""
        return bool(self._unstarted) and not self.closed

    @property
    def may_start(self) -> bool:
        """Whether the next item may start now."""
        return self.has_more and (self._keep is None or len(self._finished) < self._keep)

    def answer(self, known: Callable[[Item], Result | None]) -> None:
        """Finish the items with known results, so that they never start. Call before any starts."""
        unknown: deque[Item] = deque()
        for item in self._unstarted:
            if (result := known(item)) is None:
                unknown.append(item)
            else:
                self.finish(item, result)
        self._unstarted = unknown

    def next(self) -> Job:
        """Return the next distinct item. For one thread at a time, and only if `may_start`."""
        return Job(self, self._unstarted.popleft())

    def finish(self, item: Item, result: Result) -> None:
        """Store the result of an item for every index that holds it."""
        with self._changed:
            if self.closed:
                return
            self._finished.append((self._indices.pop(item), result))
            self._left -= 1
            if self._left == 0 or self._keep is not None:
                self._changed.notify()

    def wait(self, at_most_s: float, drain_by_s: float) -> bool:
        """Wait, then return whether the request is over: all done, or the deadline reached.

        Waits for at most `at_most_s`. With `keep`, any result also ends the wait.
        """
        with self._changed:
            left_s = min(self.deadline_s, drain_by_s) - time.monotonic()
            waits = self._left and (self._keep is None or not self._finished)
            if waits and left_s > 0:
                self._changed.wait(min(at_most_s, left_s))
                left_s = min(self.deadline_s, drain_by_s) - time.monotonic()
            return self._left == 0 or left_s <= 0

    def take(self) -> list[tuple[int, Result]]:
        """Return the results since the last call, each with its index."""
        with self._changed:
            finished, self._finished = self._finished, deque()
        return [(index, result) for indices, result in finished for index in indices]

    def close(self) -> list[tuple[int, Result]]:
        """Accept no more results. Return the rest; unfinished items exceeded the deadline."""
        with self._changed:
            self.closed = True
            missing = sorted(index for indices in self._indices.values() for index in indices)
        return [*self.take(), *((index, LATE) for index in missing)]


class Single(Request):
    """A request of one item. `done` gets its result once, in the thread that produced it."""

    def __init__(
        self,
        item: Item,
        deadline_s: float,
        lane: Lane,
        models: tuple[str, ...],
        done: Callable[[Result], None],
        extras: Extras,
    ) -> None:
        super().__init__([item], deadline_s, lane, models=models)
        self._done, self.extras = done, extras

    def finish(self, item: Item, result: Result) -> None:  # noqa: ARG002 - the only item
        """Pass the result to `done`, unless `give_up` came first."""
        with self._changed:
            told, self.closed = self.closed, True
        if not told:
            self._done(result)

    def give_up(self) -> None:
        """At the deadline: fail the item unless it is done, and shed its remaining work."""
        self.finish(next(iter(self._indices)), LATE)


class Job:
    """One distinct item of a request in progress, with the time that each stage took."""

    def __init__(self, request: Request, item: Item) -> None:
        self.request, self.item = request, item
        self.tower, self.lane = tower_of(item), request.lane
        self.targets = tuple(Target(model, self.tower) for model in request.models)
        self.times = ItemTimes(request.times)
        self.details: ImageDetails | None = None
        # Called once the inputs of all models are not read any more.
        self.release: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._parts: dict[str, Result | None] = {}

    @property
    def shared(self) -> tuple[EmbeddingsByDigest, bytes] | None:
        """The embeddings it shares with others of the same bytes, and the digest of those."""
        reuse, details = self.request.extras.reuse, self.details
        return None if reuse is None or details is None else (reuse, details.sha256)

    def part(self, model: str, result: Result | None) -> bool:
        """Store one model's result; None if it was shed. Return whether it was the last one."""
        with self._lock:
            self._parts[model] = result
            return len(self._parts) == len(self.targets)

    def merged(self) -> Result | None:
        """Return the result of all models: if any of them fails, the item fails."""
        return merge({one: self._parts[one] for one, _ in self.targets}, self.request.several)

    def finish(self, result: Result) -> None:
        """Store the item's result, with its times and what is known of its image."""
        result = replace(result, times_s=self.times.spent_s, details=self.details)
        self.request.finish(self.item, result)


def merge(parts: Mapping[str, Result | None], several: bool) -> Result | None:
    """Merge one result per model into one. None if a model has no result."""
    found: dict[str, Embedding] = {}
    for model, part in parts.items():
        if not isinstance(part, Embedding):
            return part
        found[model] = part
    return Embeddings(found) if several else next(iter(found.values()))
