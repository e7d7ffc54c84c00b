"""What runs now, and since when. A thread that hangs cannot be ended, but it can be told of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stalls:
    """Watches work that no deadline ends: decoding, and forward passes.

    limit_s: what takes longer is taken to hang. As many are watched as there are threads.
    """

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._since_s: dict[object, tuple[float, str]] = {}

    @contextmanager
    def watch(self, what: str) -> Iterator[None]:
        """The block is `what`, for people."""
        token = object()
        self._since_s[token] = (self._clock(), what)
        try:
            yield
        finally:
            del self._since_s[token]

    def found(self) -> str | None:
        """What hangs, the longest, in words."""
        since_s, what = min(list(self._since_s.values()), default=(float("inf"), ""))
        if self._clock() - since_s <= self._limit_s:
            return None
        return f"{what} has taken more than {self._limit_s:g} s"
