"""Who may start how many items: permits for items in flight, shared evenly among requests."""

from __future__ import annotations

import threading

from inference.config import EngineConfig
from inference.errors import Overloaded
from inference.request import Job, Request
from inference.types import LANES, Lane

RETRY_AFTER_S = 1.0


class Admission:
    """Permits for items in flight over all requests; refuses instead of waiting.

    A request has at most its window in flight. A permit that an item gives back goes to the
    request with the fewest in flight that has more to start, interactive ones first; so one that
    found few permits free does not stay behind.
    """

    def __init__(self, config: EngineConfig) -> None:
        self._permits = self._free = config.max_items_in_flight
        self._window = config.window
        self._kept: dict[Lane, int] = {"interactive": 0, "bulk": config.interactive_permits}
        self._lock = threading.Lock()
        # The items in flight of each request that has more to start, or some on their way.
        self._in_flight: dict[Request, int] = {}

    @property
    def items_in_flight(self) -> int:
        """Permits held by all requests together."""
        return self._permits - self._free

    def enter(self, request: Request) -> list[Job]:
        """Admit a request: the items that start now.

        Raises:
            Overloaded: no permit is free.
        """
        with self._lock:
            if self._free <= self._kept[request.lane]:
                raise Overloaded(RETRY_AFTER_S)
            if request.has_more:
                self._in_flight[request] = 0
            return self._start()

    def done(self, job: Job) -> list[Job]:
        """An item has ended, and its permit is free: the items that start instead."""
        with self._lock:
            self._free += 1
            self._in_flight[job.request] -= 1
            if self._in_flight[job.request] == 0 and not job.request.has_more:
                del self._in_flight[job.request]
            return self._start()

    def _start(self) -> list[Job]:
        """Use what permits are free."""
        jobs: list[Job] = []
        for lane in LANES:
            while self._free > self._kept[lane] and (request := self._neediest(lane)):
                self._free -= 1
                self._in_flight[request] += 1
                jobs.append(request.next())
        return jobs

    def _neediest(self, lane: Lane) -> Request | None:
        waiting = (
            request
            for request, count in self._in_flight.items()
            if request.lane == lane and count < self._window and request.has_more
        )
        return min(waiting, key=self._in_flight.__getitem__, default=None)
