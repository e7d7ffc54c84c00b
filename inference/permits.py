"""A counted budget that refuses instead of waiting."""

from __future__ import annotations

import threading


class Permits:
    """Requests, or bytes of bodies."""

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._free = count

    @property
    def spent(self) -> bool:
        """Whether there is none just now."""
        return self._free <= 0

    def acquire(self, count: int, leave: int = 0) -> bool:
        """Take `count` at once, or none; `leave` are for others."""
        with self._lock:
            if count > self._free - leave:
                return False
            self._free -= count
            return True

    def release(self, count: int = 1) -> None:
        """Give `count` back."""
        with self._lock:
            self._free += count
