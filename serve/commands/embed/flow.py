"""Sources to rows: many items in flight at once, each with its own deadline.

One thread reads the sources and starts their items. The engine's threads put results into a
queue, and the caller takes them from there. So a slow item does not delay the others.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from inference.engine.engine import Engine
from inference.types import Failure, Result
from serve.commands import signals
from serve.commands.embed.inputs import EndedEarly, Source, item_of
from serve.commands.embed.order import InOrder
from serve.commands.in_flight import InFlight, at_once

# Most rows read but not yet written: 2 MiB of embeddings of 512 dimensions. While one item takes
# the 10 s of a fetch timeout, about 1,000 others finish.
WINDOW = 1024
# How often the caller checks for items past their deadline while no results arrive.
CLOCK_CHECK_S = 0.2


class Stopped(EndedEarly):
    """Ctrl-C or SIGTERM stopped the run."""


class EncoderGone(EndedEarly):
    """The encoder is broken: this process can embed nothing more."""


@dataclass(frozen=True)
class Row:
    """A source and its result. index: its place among the sources, from 0."""

    index: int
    source: Source
    result: Result


@dataclass(frozen=True)
class _End:
    """The sources ended after `count`, with or without an error."""

    count: int
    error: Exception | None


def rows(engine: Engine, sources: Iterator[Source], patience_s: float) -> Generator[list[Row]]:
    """Yield a row for each source, in their order, in groups of all that are ready.

    patience_s: time limit of an item from its start. At most WINDOW rows are held, even if the
    caller is slow, and only as many items are in flight as keep the engine busy.

    Raises:
        EndedEarly: Stopped by the first signal from now on, or EncoderGone. An error of the
            sources is raised after the rows before it.
    """
    flow = _Flow(engine, patience_s)
    signals.tell(flow.interrupt)
    threading.Thread(target=flow.feed, args=(sources,), name="sources", daemon=True).start()
    try:
        yield from flow.groups()
    finally:
        flow.close()


class _Flow:
    """State shared by the reading thread, the engine's threads and the caller."""

    def __init__(self, engine: Engine, patience_s: float) -> None:
        self._engine = engine
        self._items = InFlight(engine, patience_s)
        self._room = threading.Semaphore(WINDOW)
        self._turns = threading.Semaphore(at_once(engine.config))
        # A SimpleQueue: a signal handler may put into it, but not into a Queue.
        self._events: SimpleQueue[Row | _End | Exception] = SimpleQueue()

    def interrupt(self) -> None:
        """End the rows at once."""
        self._events.put(Stopped("interrupted"))

    def feed(self, sources: Iterator[Source]) -> None:
        """Start each item as soon as there is room for its row and an item may start."""
        count, error = 0, None
        try:
            for source in sources:
                self._room.acquire()
                self._turns.acquire()
                if self._items.stopped.is_set():
                    return
                self._start(count, source)
                count += 1
        except Exception as exc:  # noqa: BLE001 - the caller raises it
            error = exc
        self._events.put(_End(count, error))

    def groups(self) -> Iterator[list[Row]]:
        """See `rows`."""
        ordered, end = InOrder[Row](), None
        while end is None or ordered.given < end.count:
            ready: list[Row] = []
            broken: Exception | None = None
            for event in self._arrived():
                if isinstance(event, Row):
                    ready += ordered.put(event.index, event)
                    broken = broken or self._trouble(event.result)
                elif isinstance(event, _End):
                    end = event
                else:
                    broken = broken or event
            if ready:
                yield ready
                self._room.release(len(ready))
            if broken is not None:
                raise broken
        if end.error is not None:
            raise end.error

    def close(self) -> None:
        """Give up all items. A reading thread that hangs in a read ends with the process."""
        self._items.stopped.set()
        self._room.release()
        self._turns.release()
        self._items.close()

    def _start(self, index: int, source: Source) -> None:
        def done(result: Result) -> None:
            self._events.put(Row(index, source, result))
            self._turns.release()

        self._items.start(item_of(source), done)

    def _arrived(self) -> list[Row | _End | Exception]:
        """Return the events since the last call; wait up to CLOCK_CHECK_S for the first."""
        self._items.give_up_late()
        try:
            events = [self._events.get(timeout=CLOCK_CHECK_S)]
        except Empty:
            return []
        while not self._events.empty():
            events.append(self._events.get())
        return events

    def _trouble(self, result: Result) -> Exception | None:
        trouble = self._engine.trouble() if isinstance(result, Failure) else None
        return EncoderGone(trouble) if trouble else None
