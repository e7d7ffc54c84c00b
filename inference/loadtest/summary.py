"""The results of a load: of one request, and of many. Pure."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Outcome:
    """The outcome of an answered request, in items. failed: by code. retried: how many retries."""

    ok: int
    failed: Mapping[str, int] = field(default_factory=dict)
    retried: int = 0


class RequestFailed(Exception):
    """A request was not answered. code: the reason, for counting; the message is for people."""

    def __init__(self, code: str, message: str = "", retried: int = 0) -> None:
        super().__init__(message or code)
        self.code = code
        self.retried = retried


@dataclass(frozen=True)
class Load:
    """The measurements, without the warm-up.

    requests: answered ones. failed: items by code. errors: requests without an answer, by code.
    dropped: arrivals that found too many in flight. latencies_ms: of answered requests, in the
    order of their ends. complete: False when it was interrupted.
    """

    requests: int
    items_ok: int
    failed: dict[str, int]
    errors: dict[str, int]
    retried: int
    dropped: int
    duration_s: float
    items_per_s: float
    latencies_ms: tuple[float, ...]
    complete: bool = True

    @property
    def p50_ms(self) -> float | None:
        """The median latency; None when nothing was answered."""
        return percentile(self.latencies_ms, 50)

    @property
    def p95_ms(self) -> float | None:
        """The 95th percentile of latency; None when nothing was answered."""
        return percentile(self.latencies_ms, 95)

    @property
    def p99_ms(self) -> float | None:
        """The 99th percentile of latency; None when nothing was answered."""
        return percentile(self.latencies_ms, 99)


def percentile(values: Sequence[float], q: float) -> float | None:
    """Return the q-th percentile (0..100), interpolated; None without values."""
    return float(np.percentile(values, q)) if len(values) else None


def pooled(loads: Sequence[Load]) -> Load:
    """Pool repeated loads into one: counts summed, latencies joined, the median rate."""
    return Load(
        requests=sum(one.requests for one in loads),
        items_ok=sum(one.items_ok for one in loads),
        failed=_added([one.failed for one in loads]),
        errors=_added([one.errors for one in loads]),
        retried=sum(one.retried for one in loads),
        dropped=sum(one.dropped for one in loads),
        duration_s=sum(one.duration_s for one in loads),
        items_per_s=statistics.median([one.items_per_s for one in loads] or [0.0]),
        latencies_ms=tuple(itertools.chain.from_iterable(one.latencies_ms for one in loads)),
        complete=all(one.complete for one in loads),
    )


def _added(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)
