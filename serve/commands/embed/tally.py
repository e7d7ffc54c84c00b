"""Counts the rows of a run, and its failures by code with an example of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from inference.types import Failure
from serve.commands.embed.flow import Row
from serve.commands.embed.tables import printable

MAX_NAME_CHARS = 100


@dataclass
class Tally:
    """Rows so far. codes: failed rows by code. examples: the first of each code, as a line."""

    rows: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """How many rows failed."""
        return self.codes.total()

    def add(self, rows: Sequence[Row]) -> None:
        """Count the next rows."""
        self.rows += len(rows)
        for row in rows:
            if isinstance(row.result, Failure):
                self.codes[row.result.code] += 1
                self.examples.setdefault(row.result.code, _example(row, row.result))

    def failures(self, form: str) -> Iterator[str]:
        """Yield lines for people; by code where the form (`npy`) has no place for an error."""
        if form != "npy":
            yield f"{self.failed} of {self.rows} items failed"
            return
        yield f"{self.failed} of {self.rows} items failed; their rows are NaN:"
        for code, count in self.codes.most_common():
            yield f"  {count} {code}, such as {self.examples[code]}"
        yield "--format jsonl writes the error of each item"


def _example(row: Row, failure: Failure) -> str:
    name = printable(row.source.name)
    short = name if len(name) <= MAX_NAME_CHARS else f"{name[: MAX_NAME_CHARS - 3]}..."
    return f"row {row.index}, {short!r}: {failure.message}"
