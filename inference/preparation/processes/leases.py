"""Memory for decoding, lent to the threads of several processes: the first that asks gets it first.

The service holds the account, because a process may die with what it was lent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

Borrower = TypeVar("Borrower", bound=Hashable)


class Leases(Generic[Borrower]):
    """An account of `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        self._free_bytes = limit_bytes
        self._lent: dict[Borrower, int] = {}
        self._waiting: deque[tuple[Borrower, int]] = deque()

    def want(self, borrower: Borrower, size_bytes: int) -> None:
        """Queue a wish. It is granted by `granted` when it is the first and enough is free."""
        self._waiting.append((borrower, size_bytes))

    def granted(self) -> Iterator[Borrower]:
        """Lend what is free. Yields who got what it asked for."""
        while self._waiting and self._waiting[0][1] <= self._free_bytes:
            borrower, size_bytes = self._waiting.popleft()
            self._free_bytes -= size_bytes
            self._lent[borrower] = size_bytes
            yield borrower

    def free(self, borrower: Borrower) -> None:
        """Take back what a borrower was lent. Raises KeyError if that is nothing."""
        self._free_bytes += self._lent.pop(borrower)

    def forget(self, has_died: Callable[[Borrower], bool]) -> None:
        """Take back what the dead were lent, and drop their wishes."""
        for borrower in [one for one in self._lent if has_died(one)]:
            self.free(borrower)
        self._waiting = deque(one for one in self._waiting if not has_died(one[0]))
