"""The results of one request, as they become ready."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Self

from inference.stats import StageTimes
from inference.types import Result

# Results that became ready together, each with the index of its item.
Group = list[tuple[int, Result]]


class Stream:
    """Results in groups, in the order in which they are done.

    Every index comes once; items not done at the deadline come as failures. Iterating raises
    ClientLeft. Always `close` it, by `with` or directly: that sheds the unfinished items.
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
        """Return the stream."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self.close()

    def __iter__(self) -> Iterator[Group]:
        """Return the iterator over groups."""
        return self._results

    def close(self) -> None:
        """Shed the rest. `leave` is called here: an unstarted generator runs no `finally`."""
        self._results.close()
        self._leave()
