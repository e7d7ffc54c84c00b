"""What an output's format does: how the whole parts are kept, read again and shown to readers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from inference.errors import FetchBlocked


@dataclass(frozen=True)
class PartReport:
    """A whole part. counts: failures by code; other rows by how they were made. cpu_s: seconds.

    examples: the first message of each code of its failures.
    """

    part: int
    rows: int
    counts: dict[str, int] = field(default_factory=dict)
    retryable: int = 0
    cpu_s: float = 0.0
    examples: dict[str, str] = field(default_factory=dict)

    @property
    def is_tried_again(self) -> bool:
        """Whether `--retry-failed` takes failures of it: they may pass, or were blocked."""
        return bool(self.retryable or self.counts.get(FetchBlocked.code))


class Pieces(Protocol):
    """The rows of an output, for another job, in pieces that fit into memory. Can be pickled."""

    def numbers(self) -> Iterable[int]:
        """Return the number of each piece, in order. Raises OSError."""

    def take(self, number: int, columns: Sequence[str]) -> pa.Table:
        """Read columns of a piece; always the same rows in the same order. Raises OSError."""


class PartFiles(Protocol):
    """The whole parts of an output in one format. Can be pickled."""

    def begin(self, schema: pa.Schema) -> None:
        """Prepare the output for parts of these columns, also if it is prepared.

        Raises:
            JobError: the format cannot hold them, or not there. OSError.
        """

    def whole(self) -> set[int]:
        """Return the numbers of the whole parts. Raises OSError."""

    def is_whole(self, part: int) -> bool:
        """Whether a part is there. Raises OSError."""

    def write(self, table: pa.Table, report: PartReport, *, again: bool) -> None:
        """Write a part, whole or not at all.

        again: it replaces one with other rows; else one that is there has the same, because it was
        dealt out twice. Raises OSError.
        """

    def report(self, part: int) -> PartReport:
        """Read the counts of a whole part. Raises OSError."""

    def take(self, part: int, columns: Sequence[str]) -> pa.Table:
        """Read columns of a whole part. Raises OSError."""

    def shown(self, replaced: Iterable[int]) -> AbstractContextManager[Callable[[int], object]]:
        """Show the whole parts to readers of the output while the block runs, and at its end.

        One process does this at a time. Yields a function that is told of each part that has
        become whole. replaced: whole parts that will be written again.

        Raises:
            JobError: one of these cannot be replaced. OSError.
        """

    def pieces(self) -> Pieces:
        """Return the rows that readers of the output see now. Raises OSError."""
