"""Closed-loop clients that obey `retry_after_ms`, with idle connections and half-sent bodies.

python -m benchmarks.crowd.clients < plan.json > crowd.json
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

from benchmarks.crowd.http import BROKEN, Connection, post
from benchmarks.crowd.window import Window
from serve.benchmark.endpoint_load.payload import Bulk

# Full lengths of half-sent bodies: the event loop waits for small ones, a thread reads large ones.
SMALL_BYTES, LARGE_BYTES = 1_000, 200_000
REOPEN_S = 1.0


@dataclass(frozen=True)
class Plan:
    """clients: with `items` URLs a request. idle, half_sent: connections that stay open."""

    port: int
    urls: list[str]
    items: int
    clients: int
    warm_up_s: float
    duration_s: float
    idle: int = 0
    half_sent: int = 0


@dataclass
class Crowd:
    """What was measured. refusal_ms, answer_ms: from the first byte sent to the last received.

    errors: attempts without an answer. reopened: how often idle and half-sent connections were
    opened again after the service closed them. cpu_share: of one core, used by these clients.
    """

    items: int = 0
    failed: int = 0
    answered: int = 0
    refused: int = 0
    reopened: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    refusal_ms: list[float] = field(default_factory=list)
    answer_ms: list[float] = field(default_factory=list)
    retry_after_ms: list[float] = field(default_factory=list)
    cpu_share: float = 0.0


class Clients:
    """All clients, on one thread."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._bulk = plan, Bulk("urls", plan.urls)
        self._window = Window(plan.warm_up_s, plan.duration_s)
        self._crowd = Crowd()

    async def run(self) -> Crowd:
        """Run all clients until the window ends."""
        plan = self._plan
        begun = [b""] * plan.idle
        for number in range(plan.half_sent):
            length = LARGE_BYTES if number % 2 else SMALL_BYTES
            begun.append(post(b"{" + b" " * (length // 2), length))
        clients = [self._ask_on() for _ in range(plan.clients)]
        await self._window.run([*clients, *(self._hold_open(one) for one in begun)])
        self._crowd.cpu_share = round(self._window.cpu_share, 3)
        return self._crowd

    async def _ask_on(self) -> None:
        connection: Connection | None = None
        while True:
            request = post(self._bulk.body(self._plan.items).data)
            connection, pause_s = await self._try(connection, request)
            while pause_s is not None:
                await asyncio.sleep(pause_s)
                connection, pause_s = await self._try(connection, request)

    async def _try(
        self, connection: Connection | None, request: bytes
    ) -> tuple[Connection | None, float | None]:
        """Send once. Returns the connection, if kept; the pause in s, None after an answer."""
        start_s = time.perf_counter()
        try:
            connection = connection or await Connection.open(self._plan.port)
            reply = await connection.ask(request)
        except BROKEN as exc:
            if connection is not None:
                connection.close()
            self._crowd.errors[type(exc).__name__] += self._window.holds(time.perf_counter())
            return None, REOPEN_S
        if reply.closes:
            connection.close()
        pause_s = self._note(reply.status, reply.body, reply.failures, start_s)
        return None if reply.closes else connection, pause_s

    def _note(self, status: int, body: bytes, failures: int, start_s: float) -> float | None:
        """Count an answer; return the pause after it in s, None after a 200."""
        end_s = time.perf_counter()
        counts = self._crowd if self._window.holds(end_s) else Crowd()
        took_ms = round(1000 * (end_s - start_s), 2)
        if status == HTTPStatus.OK:
            counts.answered += 1
            counts.items += self._plan.items - failures
            counts.failed += failures
            counts.answer_ms.append(took_ms)
            return None
        if status != HTTPStatus.SERVICE_UNAVAILABLE:
            counts.errors[f"status {status}"] += 1
            return REOPEN_S
        retry_after_ms: float = json.loads(body)["error"]["retry_after_ms"]
        counts.refused += 1
        counts.refusal_ms.append(took_ms)
        counts.retry_after_ms.append(retry_after_ms)
        return retry_after_ms / 1000

    async def _hold_open(self, begun: bytes) -> None:
        while True:
            connection: Connection | None = None
            with suppress(*BROKEN):
                connection = await Connection.open(self._plan.port)
                await connection.send_and_wait(begun)
            if connection is not None:
                connection.close()
            self._crowd.reopened += self._window.holds(time.perf_counter())
            await asyncio.sleep(REOPEN_S)


def main() -> None:
    """Read a plan from standard input, write the result to standard output."""
    plan = Plan(**json.load(sys.stdin))
    sys.stdout.write(json.dumps(vars(asyncio.run(Clients(plan).run()))))


if __name__ == "__main__":
    main()
