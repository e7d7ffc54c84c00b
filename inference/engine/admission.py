"""Admission: permits for items in flight, shared evenly among requests."""

from __future__ import annotations

import threading

from inference.config import EngineConfig
from inference.engine.request import Job, Request
from inference.errors import Overloaded
from inference.types import LANES, Lane

RETRY_AFTER_S = 1.0


class Admission:
    """Permits for items in flight over all requests; refuses instead of waiting.

    A request has at most `window` items in flight. A freed permit goes to the request with the
    fewest items in flight that has more to start, interactive requests first, so a request that
    got few permits at first catches up. Each lane leaves `lane_permits` to the other.
    """

    def __init__(self, config: EngineConfig) -> None:
        self._window = config.window
        self._permits = config.max_items_in_flight
        self._most_of_a_lane = config.max_items_in_flight - config.lane_permits
        self._held: dict[Lane, int] = dict.fromkeys(LANES, 0)
        self._lock = threading.Lock()
        # Items in flight of each request that has more to start, or items in flight.
        self._in_flight: dict[Request, int] = {}

    @property
    def items_in_flight(self) -> int:
        """Permits held by all requests together."""
        return sum(self._held.values())

    def enter(self, request: Request) -> list[Job]:
        """Admit a request and return the items that start now.

        Raises:
            Overloaded: no permit is free.
        """
        with self._lock:
            if not self._is_free(request.lane):
                raise Overloaded(RETRY_AFTER_S)
            if request.has_more:
                self._in_flight[request] = 0
            return self._start()

    def done(self, job: Job) -> list[Job]:
        """Free the permit of an item that ended; return the items that start instead."""
        with self._lock:
            self._held[job.lane] -= 1
            self._in_flight[job.request] -= 1
            self._forget(job.request)
            return self._start()

    def resume(self) -> list[Job]:
        """Return the items that may start now that results were taken."""
        with self._lock:
            return self._start()

    def leave(self, request: Request) -> None:
        """Start no more items of a closed request; those in flight still end with `done`."""
        with self._lock:
            self._forget(request)

    def _forget(self, request: Request) -> None:
        if self._in_flight.get(request) == 0 and not request.has_more:
            del self._in_flight[request]

    def _is_free(self, lane: Lane) -> bool:
        return self.items_in_flight < self._permits and self._held[lane] < self._most_of_a_lane

    def _start(self) -> list[Job]:
        """Start items while permits are free."""
        jobs: list[Job] = []
        for lane in LANES:
            while self._is_free(lane) and (request := self._neediest(lane)):
                self._held[lane] += 1
                self._in_flight[request] += 1
                jobs.append(request.next())
        return jobs

    def _neediest(self, lane: Lane) -> Request | None:
        waiting = (
            request
            for request, count in self._in_flight.items()
            if request.lane == lane and count < self._window and request.may_start
        )
        return min(waiting, key=self._in_flight.__getitem__, default=None)
