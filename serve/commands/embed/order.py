"""Puts results that arrive in any order into the order of their items. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class InOrder(Generic[T]):
    """Holds values that arrive early. given: how many were yielded, and so the next index."""

    def __init__(self) -> None:
        self.given = 0
        self._early: dict[int, T] = {}

    def put(self, index: int, value: T) -> Iterator[T]:
        """Add the value of an index, and yield all values that are now next in order."""
        self._early[index] = value
        while self.given in self._early:
            value = self._early.pop(self.given)
            self.given += 1
            yield value
