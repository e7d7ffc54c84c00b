"""What happened since the last lines: outcomes of requests and items, and their times."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inference.types import Lane, Result
from serve.observe.cloudwatch.distribution import Distribution


@dataclass
class Interval:
    """Counts of a minute.

    failures: by lane and item code. times_ms: of items by lane and stage, and of requests by lane
    and `request`.
    """

    requests: Counter[Lane] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    items: Counter[Lane] = field(default_factory=Counter)
    failures: Counter[tuple[Lane, str]] = field(default_factory=Counter)
    times_ms: defaultdict[tuple[Lane, str], Distribution] = field(
        default_factory=lambda: defaultdict(Distribution)
    )


class Counts:
    """Counts requests and items until they are taken. Thread-safe. Bounded by lanes and codes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = Interval()

    def results(self, lane: Lane, results: Sequence[Result], failed: Mapping[str, int]) -> None:
        """Count results of a request, all or some. failed: number of failures by code."""
        times_ms: defaultdict[str, list[float]] = defaultdict(list)
        for result in results:
            for stage, spent_s in result.times_s.items():
                times_ms[stage].append(1000 * spent_s)
        with self._lock:
            now = self._now
            now.items[lane] += len(results)
            for code, count in failed.items():
                now.failures[lane, code] += count
            for stage, values in times_ms.items():
                now.times_ms[lane, stage].add(values)

    def answered(self, lane: Lane, total_ms: float) -> None:
        """Count an answered request."""
        with self._lock:
            self._now.requests[lane] += 1
            self._now.times_ms[lane, "request"].add([total_ms])

    def ended(self, lane: Lane | None, status: str) -> None:  # noqa: ARG002 - as `Metrics.ended`
        """Count a request without results. status: its code, or `client_left`."""
        with self._lock:
            self._now.errors[status] += 1

    def take(self) -> Interval:
        """Return what was counted since the last call."""
        with self._lock:
            taken, self._now = self._now, Interval()
        return taken
