"""Memory that pictures may take at once while they are decoded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from model.errors import TooManyPixels

MIB = 2**20


class MemoryBudget:
    """So many bytes, shared by all decoding threads; whoever finds too little free waits.

    In turns: a large picture is not overtaken for ever by small ones.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        """limit_bytes: None is no limit."""
        self._limit_bytes = limit_bytes
        self._taken_bytes = 0
        self._turn = threading.Lock()
        self._freed = threading.Condition()

    @contextmanager
    def take(self, wanted_bytes: int) -> Iterator[None]:
        """Hold so many bytes.

        Raises:
            TooManyPixels: more than there ever are.
        """
        limit_bytes = self._limit_bytes
        if limit_bytes is None:
            yield
            return
        if wanted_bytes > limit_bytes:
            raise TooManyPixels(
                f"decoding takes some {wanted_bytes // MIB:,} MiB of memory, "
                f"the limit here is {limit_bytes // MIB:,}"
            )
        with self._turn, self._freed:
            self._freed.wait_for(lambda: self._taken_bytes + wanted_bytes <= limit_bytes)
            self._taken_bytes += wanted_bytes
        try:
            yield
        finally:
            with self._freed:
                self._taken_bytes -= wanted_bytes
                self._freed.notify_all()


UNLIMITED = MemoryBudget()
