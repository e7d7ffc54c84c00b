"""A counted budget that refuses instead of waiting."""

from __future__ import annotations

import threading


class Permits:
    """Permits for requests, or for bytes of request bodies."""

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._free = count

    @property
    def spent(self) -> bool:
        """Whether no permit is free now."""
        return self._free <= 0

    def acquire(self, count: int, leave: int = 0) -> bool:
        """Take all of `count` or none, and leave `leave` free. Return whether it took them."""
        with self._lock:
            if count > self._free - leave:
                return False
            self._free -= count
            return True

    def release(self, count: int = 1) -> None:
        """Give back `count` permits."""
        with self._lock:
            self._free += count
