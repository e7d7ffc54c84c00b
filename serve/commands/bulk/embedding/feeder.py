"""One thread that starts the rows of all open parts, the oldest part first.

Only as many items are in flight as keep the engine busy. So a part that waits for its last slow
URLs does not hold up the engine: the rows of the next part start meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from inference.engine.engine import Engine
from inference.engine.reuse import EmbeddingsByDigest
from inference.types import Failure, Result
from model.encoder import Float32Array
from serve.commands.bulk.embedding.hosts import Hosts, host_of
from serve.commands.bulk.embedding.open_part import OpenPart
from serve.commands.bulk.errors import EncoderGone
from serve.commands.in_flight import InFlight, at_once

# How often late items, and hosts whose pause has ended, are looked for.
CLOCK_CHECK_S = 0.2
# How often a row is tried whose host asked for a pause.
TRIES = 4
# Embeddings of images that may come again under another URL: 25,000 of 512 dimensions.
REUSED_BYTES = 64 * 2**20


class _Row(NamedTuple):
    part: OpenPart
    row: int
    tries: int = 1

    @property
    def host(self) -> str:
        return host_of(self.part.rows.urls[self.row])


class Feeder:
    """Starts items on an engine. patience_s: time limit of an item from its start.

    per_host: requests at once to one host; None is any number. ended: is told of each result.
    """

    def __init__(
        self,
        engine: Engine,
        patience_s: float,
        per_host: int | None,
        ended: Callable[[Result], object],
    ) -> None:
        self._engine, self._ended = engine, ended
        self._items = InFlight(engine, patience_s)
        self._at_once, self._in_flight = at_once(engine.config), 0
        self._parts: list[OpenPart] = []
        self._hosts: Hosts[_Row] = Hosts(per_host)
        self._reuse = EmbeddingsByDigest(REUSED_BYTES, self._earlier)
        self._broken: Exception | None = None
        self._changed = threading.Condition(threading.RLock())
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self._thread.start()

    def open(self, part: OpenPart) -> None:
        """Start the rows of a part when there is room for them."""
        with self._changed:
            if self._broken is not None:
                part.break_off(self._broken)
                return
            self._parts.append(part)
            self._changed.notify()

    def close(self, part: OpenPart) -> None:
        """Forget a part."""
        with self._changed:
            if part in self._parts:
                self._parts.remove(part)

    def stop(self, why: Exception) -> None:
        """Start nothing more, give up all items, and end all parts with an error."""
        with self._changed:
            if self._broken is None:
                self._broken = why
            for part in self._parts:
                part.break_off(self._broken)
            self._items.stopped.set()
            self._changed.notify()

    def _run(self) -> None:
        try:
            while (row := self._next()) is not None:
                self._start(row)
        except Exception as exc:  # noqa: BLE001 - the parts raise it
            self.stop(exc)
        self._items.close()

    def _start(self, row: _Row) -> None:
        item, etag = row.part.rows.item(row.row), row.part.etag(row.row)
        done = partial(self._done, row)
        self._items.start(item, done, etag, self._reuse, self._wait_for_permits)

    def _next(self) -> _Row | None:
        """Wait for a row that may start. Returns None after `stop`."""
        with self._changed:
            while self._broken is None:
                now_s = time.monotonic()
                self._items.give_up_late()
                if self._in_flight < self._at_once and (row := self._startable(now_s)):
                    self._in_flight += 1
                    return row
                if not self._changed.wait(CLOCK_CHECK_S):
                    self._check_engine()
            return None

    def _startable(self, now_s: float) -> _Row | None:
        if (waited := self._hosts.next(now_s)) is not None:
            return waited
        for part in self._parts:
            while (index := part.next()) is not None:
                row = _Row(part, index)
                if self._hosts.enter(row.host, row, now_s):
                    return row
        return None

    def _done(self, row: _Row, result: Result) -> None:
        """Take a result, in a thread of the engine."""
        if isinstance(result, Failure):
            self._check_engine()  # first: such a failure is not the row's own
        with self._changed:
            self._in_flight -= 1
            self._hosts.leave(row.host)
            again = self._held_back(row, result)
            self._changed.notify()
        if not again:
            row.part.end(row.row, result)
            self._ended(result)

    def _check_engine(self) -> None:
        """Stop if the encoder is broken."""
        if trouble := self._engine.trouble():
            self.stop(EncoderGone(trouble))

    def _wait_for_permits(self) -> None:
        """Do what must be done while the engine takes no more items."""
        self._items.give_up_late()
        self._check_engine()

    def _held_back(self, row: _Row, result: Result) -> bool:
        """Let a row wait whose host asked for a pause. Return whether it does."""
        pause_s = result.retry_after_s if isinstance(result, Failure) else None
        if pause_s is None or row.tries >= TRIES or not row.host:
            return False
        again = row._replace(tries=row.tries + 1)
        self._hosts.pause(row.host, time.monotonic() + pause_s, again)
        return True

    def _earlier(self, sha256: bytes) -> Float32Array | None:
        """Return the embedding that an earlier job has of an image of the open parts."""
        digests = (part.digests for part in self._parts)
        return next((found[sha256] for found in digests if sha256 in found), None)
