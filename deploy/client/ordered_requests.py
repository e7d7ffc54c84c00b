"""Send a long input to an endpoint: concurrent requests, results in order, both bounded.

The caller's own thread does all the book-keeping when it asks for the next result; other threads
only send. So sending stops when the caller stops asking, and nothing here needs a lock.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any

from deploy.client.chunks import Limits, fits, take
from deploy.client.retrying import Patience, pause_s
from serve.wire.client_side import EndpointError, Failed, Item, Result, encode_item

# `ask(items, bulk, leaving)`: the results of one request.
Ask = Callable[[list[Item], bool, threading.Event], tuple[Result, ...]]
# Size of the window that restores the order: requests' worth of items per request in flight.
WINDOW = 4


@dataclass
class _Open:
    """An item without a final result. tries: times it was sent. since_s: first sent at."""

    item: Item
    tries: int = 0
    since_s: float = 0.0


class OrderedRequests:
    """One pass through one input. At most `concurrency` requests are in flight."""

    def __init__(
        self,
        items: Iterator[Mapping[str, Any]],
        ask: Ask,
        limits: Limits,
        concurrency: int,
        patience: Patience,
    ) -> None:
        self._items, self._ask, self._limits = items, ask, limits
        self._concurrency, self._patience = concurrency, patience
        self._read = self._yielded = self._held_bytes = 0
        self._exhausted = False
        self._bulk: bool | None = None  # known with the first request
        self._open: dict[int, _Open] = {}
        self._waiting: deque[Item] = deque()
        self._again: list[tuple[float, int]] = []  # a heap of (when, index)
        self._flying: set[Future[tuple[Result, ...]]] = set()
        self._done: dict[int, Result] = {}
        self._error: EndpointError | None = None
        self._broken: Exception | None = None  # what the input raised
        self._leaving = threading.Event()

    def results(self) -> Generator[Result, None, None]:
        """Yield every item's result, in order, as they come.

        Raises:
            EndpointError: a request failed as a whole; the results ready by then are yielded first.
            ValueError: an item is invalid. All results before it are yielded first, as they are
                when reading the input itself raises.
        """
        try:
            while True:
                self._send()
                if not self._open and not self._done:
                    break
                self._receive()
                while self._yielded in self._done:
                    self._yielded += 1
                    yield self._done.pop(self._yielded - 1)
                if self._error is not None:
                    raise self._error
            if self._broken is not None:
                raise self._broken
        finally:
            self._leaving.set()

    def _send(self) -> None:
        """Send requests while there are items and fewer than `concurrency` are in flight."""
        while len(self._flying) < self._concurrency:
            self._line_up()
            chunk = take(self._waiting, self._limits)
            if not chunk:
                return
            if self._bulk is None:
                # One small request may count as a query; parts of a long input are bulk.
                self._bulk = not self._exhausted or len(chunk) < self._read
            now_s = time.monotonic()
            for item in chunk:
                one = self._open[item.index]
                one.tries += 1
                one.since_s = one.since_s or now_s
            self._fly(chunk, bulk=self._bulk)

    def _fly(self, chunk: list[Item], *, bulk: bool) -> None:
        sent: Future[tuple[Result, ...]] = Future()

        def ask() -> None:
            try:
                sent.set_result(self._ask(chunk, bulk, self._leaving))
            except BaseException as exc:  # noqa: BLE001 - raised where the results are read
                sent.set_exception(exc)

        # A daemon, unlike the threads of an executor: a program can exit while requests run.
        threading.Thread(target=ask, name="sweetspot-client", daemon=True).start()
        self._flying.add(sent)

    def _line_up(self) -> None:
        """Queue the retries that are due, then new items."""
        while self._again and self._again[0][0] <= time.monotonic():
            _, index = heapq.heappop(self._again)
            self._waiting.appendleft(self._open[index].item)
        while len(self._waiting) < self._limits.items and self._may_read():
            self._read_one()

    def _may_read(self) -> bool:
        window = WINDOW * self._concurrency * self._limits.items
        room = self._held_bytes <= self._concurrency * self._limits.body_bytes
        return not self._exhausted and room and self._read - self._yielded < window

    def _read_one(self) -> None:
        try:
            item = encode_item(self._read, next(self._items))
        except StopIteration:
            self._exhausted = True
            return
        except Exception as exc:  # noqa: BLE001 - raised after the results before it
            self._exhausted, self._broken = True, exc
            return
        self._read += 1
        if not fits(item, self._limits):
            message = f"{len(item.data)} bytes alone; a request may have {self._limits.body_bytes}"
            self._done[item.index] = Failed(
                item.index, item.id, "payload_too_large", message, retryable=False
            )
            return
        self._held_bytes += len(item.data)
        self._open[item.index] = _Open(item)
        self._waiting.append(item)

    def _receive(self) -> None:
        """Wait for an answer, or until a retry is due and a request may be sent."""
        if self._yielded in self._done:
            return
        due = self._again and len(self._flying) < self._concurrency
        pause_s = max(0.0, self._again[0][0] - time.monotonic()) if due else None
        if not self._flying:
            self._leaving.wait(pause_s)
            return
        done, _ = wait(self._flying, pause_s, FIRST_COMPLETED)
        for one in done:
            self._flying.remove(one)
            try:
                results = one.result()
            except EndpointError as exc:
                self._error = exc
                continue
            for result in results:
                self._settle(result)

    def _settle(self, result: Result) -> None:
        """Accept a result as final, or schedule a retry of its item."""
        one = self._open[result.index]
        if isinstance(result, Failed) and result.retryable and one.tries < self._patience.items:
            due_s = time.monotonic() + pause_s(self._patience, one.tries)
            if due_s - one.since_s < self._patience.total_s:
                heapq.heappush(self._again, (due_s, result.index))
                return
        del self._open[result.index]
        self._held_bytes -= len(one.item.data)
        self._done[result.index] = result
