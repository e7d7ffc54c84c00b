"""A limit on the memory of all images that are decoded at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from model.errors import TooManyPixels

MIB = 2**20


class MemoryBudget:
    """A number of bytes shared by all decoding threads. A thread waits while too few are free.

    Only the first waiting thread gets freed bytes, so small images cannot starve a large one.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        """limit_bytes: None means no limit."""
        self.limit_bytes = limit_bytes
        self._taken_bytes = 0
        self._turn = threading.Lock()
        self._freed = threading.Condition()

    def check(self, wanted_bytes: int) -> None:
        """Raise TooManyPixels if `wanted_bytes` is above the limit."""
        if self.limit_bytes is not None and wanted_bytes > self.limit_bytes:
            raise TooManyPixels(
                f"decoding takes about {wanted_bytes // MIB:,} MiB of memory, "
                f"the limit is {self.limit_bytes // MIB:,} MiB"
            )

    @contextmanager
    def take(self, wanted_bytes: int) -> Iterator[None]:
        """Hold `wanted_bytes` until the block ends.

        Raises:
            TooManyPixels: `wanted_bytes` is above the limit.
        """
        limit_bytes = self.limit_bytes
        self.check(wanted_bytes)
        if limit_bytes is None:
            yield
            return
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
