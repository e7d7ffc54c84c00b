"""Results that come in any order, given on in the order of their items. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class InOrder(Generic[T]):
    """Holds what came too early. given: how many were given on, which is the index awaited."""

    def __init__(self) -> None:
        self.given = 0
        self._early: dict[int, T] = {}

    def put(self, index: int, value: T) -> Iterator[T]:
        """Take in the value of an index, and give on all that are now in turn."""
        self._early[index] = value
        while self.given in self._early:
            value = self._early.pop(self.given)
            self.given += 1
            yield value
