"""Pings at a steady rate, each on a connection of its own.

python -m benchmarks.crowd.pings < plan.json > pings.json
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus

from benchmarks.crowd.http import BROKEN, PING, Connection


@dataclass(frozen=True)
class Plan:
    """rate_per_s: of pings; each is sent on time, even if earlier ones are unanswered."""

    port: int
    rate_per_s: float
    warm_up_s: float
    duration_s: float


@dataclass
class Pings:
    """took_ms: from the time a ping was due to the last byte of its 200, with the connect."""

    took_ms: list[float] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


async def measure(plan: Plan) -> Pings:
    """Send pings for the whole plan, and wait for every answer."""
    pings, begin_s = Pings(), time.perf_counter()

    async def ping(after_s: float) -> None:
        due_s = begin_s + after_s
        await asyncio.sleep(due_s - time.perf_counter())
        end = await _ping(plan.port)
        if after_s < plan.warm_up_s:
            return
        if end == str(HTTPStatus.OK.value):
            pings.took_ms.append(round(1000 * (time.perf_counter() - due_s), 2))
        else:
            pings.others[end] += 1

    count = int((plan.warm_up_s + plan.duration_s) * plan.rate_per_s)
    await asyncio.gather(*(ping(number / plan.rate_per_s) for number in range(count)))
    return pings


async def _ping(port: int) -> str:
    """Return the status, or the name of the error."""
    connection: Connection | None = None
    try:
        connection = await Connection.open(port)
        return str((await connection.ask(PING)).status)
    except BROKEN as exc:
        return type(exc).__name__
    finally:
        if connection is not None:
            connection.close()


def main() -> None:
    """Read a plan from standard input, write the result to standard output."""
    sys.stdout.write(json.dumps(vars(asyncio.run(measure(Plan(**json.load(sys.stdin)))))))


if __name__ == "__main__":
    main()
