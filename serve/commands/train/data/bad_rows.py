"""Bad rows, counted by code, and the end of a job that has too many."""

from __future__ import annotations

from collections import Counter
from typing import Any

from serve.commands.tables.errors import JobError

MAX_EXAMPLE_CHARS = 200


class BadRows:
    """Counts bad rows. max_percent: a job that has more ends."""

    def __init__(self, max_percent: float) -> None:
        self._max_percent = max_percent
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def add(self, code: str, where: str, message: str, count: int = 1) -> None:
        """Count a bad row. where: its file and row."""
        self.counts[code] += count
        self.examples.setdefault(code, f"{where}: {message}"[:MAX_EXAMPLE_CHARS])

    def check(self, rows: int) -> None:
        """Raise JobError if too many of the rows are bad. rows: all, good and bad."""
        bad = self.counts.total()
        if bad * 100 > self._max_percent * rows:
            codes = ", ".join(
                f"{code} {count:,} ({self.examples[code]})"
                for code, count in self.counts.most_common()
            )
            raise JobError(
                f"at least {bad:,} of {rows:,} rows are bad, more than --max-bad "
                f"{self._max_percent:g} percent: {codes}"
            )

    def report(self) -> dict[str, Any]:
        """Return count and example by code, the most frequent first, for JSON."""
        return {
            code: {"rows": count, "example": self.examples[code]}
            for code, count in self.counts.most_common()
        }
