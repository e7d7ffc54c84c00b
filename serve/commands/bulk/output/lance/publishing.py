"""When whole parts are committed, so that readers of the table see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from serve.commands.bulk.output.lance.committed import Committed
from serve.commands.bulk.output.lance.note import Note

READERS = 16
# Each commit writes a list of all fragments. So there is one in ten seconds at most, and some 70
# while a table grows to its double, of whatever size.
COMMIT_EVERY_S = 10.0
SHARE = 100


class Publishing:
    """Commits parts. note: reads the note of a whole part."""

    def __init__(self, committed: Committed, note: Callable[[int], Note]) -> None:
        self._committed, self._note = committed, note
        self._waiting: set[int] = set()
        self._last_s = float("-inf")

    def tell(self, part: int) -> None:
        """Take a part that has become whole, and commit it now or later. Raises OSError."""
        self._waiting.add(part)
        since_s = monotonic() - self._last_s
        if is_due(len(self._waiting), len(self._committed.files), since_s):
            self.publish(self._waiting)

    def publish_rest(self, whole: Iterable[int]) -> None:
        """Commit the parts that were told of, and others that are not committed. Raises OSError."""
        self.publish(self._waiting | (set(whole) - self._committed.files.keys()))

    def publish(self, parts: Iterable[int]) -> None:
        """Commit the parts that the table does not have. Raises JobError, OSError."""
        with ThreadPoolExecutor(READERS) as pool:
            notes = pool.map(self._note, sorted(parts))
            if added := [one for one in notes if self._is_new(one)]:
                self._committed.commit(added)
                self._last_s = monotonic()
        self._waiting.clear()

    def _is_new(self, note: Note) -> bool:
        has = self._committed.files.get(note.report.part)
        return has is None or (note.again and has != note.file)


def is_due(waiting: int, committed: int, since_s: float) -> bool:
    """Whether to commit the parts that wait. since_s: seconds since the last commit."""
    return since_s >= COMMIT_EVERY_S and waiting * SHARE >= committed
