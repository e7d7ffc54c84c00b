"""What has happened so far: counts, and findings with some examples. Safe from many threads."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

from tests.chaos.checking import Finding

EXAMPLES = 20


class Tally:
    """Counters by group, and findings by kind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = {}
        self._findings: list[Finding] = []

    def add(self, group: str, name: str, count: int = 1) -> None:
        """Count."""
        with self._lock:
            self._counts.setdefault(group, Counter())[name] += count

    def find(self, findings: Iterable[Finding]) -> None:
        """Note what should not be."""
        found = list(findings)
        for one in found:
            self.add("findings", one.kind)
        with self._lock:
            self._findings += found[: EXAMPLES - len(self._findings)]

    def group(self, group: str) -> dict[str, int]:
        """The counts of a group, most first."""
        with self._lock:
            return dict(self._counts.get(group, Counter()).most_common())

    @property
    def examples(self) -> list[str]:
        """The first findings in words."""
        with self._lock:
            return [f"{one.kind}: {one.detail}" for one in self._findings]
