"""A part in work: which of its rows are to start, and what has become of the others."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from inference.errors import NotModified
from inference.types import Embedding, Failure, ImageDetails, Result
from serve.commands.bulk.inputs.rows import Rows
from serve.commands.bulk.output.outcomes import Outcome, Outcomes
from serve.commands.bulk.previous import Known


@dataclass(eq=False)
class OpenPart:
    """Rows and their outcomes. One thread starts rows, any thread ends them.

    known: what an earlier job has of rows, by their index.
    """

    rows: Rows
    outcomes: Outcomes
    known: dict[int, Known] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._unstarted = deque(self.outcomes.missing())
        self._left = len(self._unstarted)
        # The embeddings that an earlier job has, by the digest of the image.
        self.digests = {
            bytes.fromhex(one.outcome.sha256): one.vector
            for one in self.known.values()
            if one.outcome.sha256
        }
        self._unsaved: list[int] = []
        # So many unsaved rows wake the thread that waits.
        self._enough = len(self.outcomes.found)
        self._broken: Exception | None = None
        self._changed = threading.Condition(threading.RLock())

    def next(self) -> int | None:
        """Return the next row to start; None when all have started."""
        return self._unstarted.popleft() if self._unstarted else None

    def end(self, row: int, result: Result) -> None:
        """Take the result of a row. After `break_off` failures may come of the end itself."""
        outcome = self._outcome(row, result)
        with self._changed:
            if self._broken is not None and isinstance(result, Failure):
                return
            self.outcomes.found[row] = outcome
            self._unsaved.append(row)
            self._left -= 1
            if not self._left or len(self._unsaved) >= self._enough:
                self._changed.notify()

    def break_off(self, why: Exception) -> None:
        """Start no more rows; make `wait` raise `why`."""
        with self._changed:
            self._unstarted.clear()
            self._broken = why
            self._changed.notify()

    def wait(self, unsaved: int) -> list[int]:
        """Wait until all rows are done, or so many are unsaved.

        Returns:
            The unsaved rows; none when all are done.

        Raises:
            Exception: as given to `break_off`; rows may be unsaved.
        """
        with self._changed:
            self._enough = unsaved
            self._changed.wait_for(
                lambda: not self._left or len(self._unsaved) >= unsaved or self._broken
            )
            if self._broken is not None:
                raise self._broken
            return self.take_unsaved() if self._left else []

    def take_unsaved(self) -> list[int]:
        """Return the rows that have ended since the last call."""
        with self._changed:
            taken, self._unsaved = self._unsaved, []
            return taken

    def etag(self, row: int) -> str | None:
        """Return the ETag under which an earlier job has the image of a row."""
        return self.known[row].etag if row in self.known else None

    def _outcome(self, row: int, result: Result) -> Outcome:
        match result:
            case Embedding(vector=vector, details=details):
                self.outcomes.vectors[row] = vector
                # What took no forward pass has the bytes of another image.
                encoded = details is None or "encode" in result.times_s
                return _described(Outcome(how="encoded" if encoded else "same_bytes"), details)
            case Failure(code=NotModified.code) if row in self.known:
                self.outcomes.vectors[row] = self.known[row].vector
                return self.known[row].outcome._replace(fetched_us=_microseconds(datetime.now(UTC)))
            case Failure(code=code, message=message, retryable=retryable, details=details):
                return _described(Outcome(code, message, retryable), details)
            case _:
                raise TypeError(f"{type(result).__name__} is no result of one model")


def _described(outcome: Outcome, details: ImageDetails | None) -> Outcome:
    if details is None:
        return outcome
    return outcome._replace(
        width=details.width,
        height=details.height,
        sha256=details.sha256.hex(),
        etag=details.etag,
        fetched_us=_microseconds(datetime.fromtimestamp(details.fetched_s, UTC)),
    )


def _microseconds(instant: datetime) -> int:
    """Return microseconds of Unix time."""
    return round(instant.timestamp() * 1_000_000)
