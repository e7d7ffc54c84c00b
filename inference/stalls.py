"""Running work and its start times. A hung thread cannot be ended, but it can be reported."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stalls:
    """Watches work that no deadline ends: decoding, and forward passes.

    limit_s: work that takes longer counts as hung. The number of threads bounds the entries.
    """

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._since_s: dict[object, tuple[float, str]] = {}

    @contextmanager
    def watch(self, what: str) -> Iterator[None]:
        """Watch the block. what: its name in messages."""
        token = object()
        self._since_s[token] = (self._clock(), what)
        try:
            yield
        finally:
            del self._since_s[token]

    def found(self) -> str | None:
        """Describe the work that has hung longest; None when nothing hangs."""
        since_s, what = min(list(self._since_s.values()), default=(float("inf"), ""))
        if self._clock() - since_s <= self._limit_s:
            return None
        return f"{what} has taken more than {self._limit_s:g} s"
