"""The results of one request as they come."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Self

from inference.stats import StageTimes
from inference.types import Result

# Results that came at the same time, each with the index of its item.
Group = list[tuple[int, Result]]


class Stream:
    """Results in groups, in the order in which they are done.

    Every index comes once, what is not done at the deadline as its failure. Iterating raises
    ClientLeft. `close` it, with `with` or without, read or not: the rest is shed.
    """

    def __init__(
        self,
        times: StageTimes,
        results: Generator[Group],
        leave: Callable[[], None],
    ) -> None:
        self.times = times
        self._results = results
        self._leave = leave

    def __enter__(self) -> Self:
        """The stream itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self.close()

    def __iter__(self) -> Iterator[Group]:
        """Group after group."""
        return self._results

    def close(self) -> None:
        """Nobody waits any more. A generator that was never begun would not hear of it."""
        self._results.close()
        self._leave()
