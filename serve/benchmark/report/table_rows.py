"""Table rows and failure sentences, for terminal and page. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from inference.loadtest.summary import Load

PARTIAL = "interrupted: partial (*), only what was measured until then"


@dataclass(frozen=True)
class Rows:
    """A table of text cells. best: the index of the row to highlight."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    best: int | None = None


def failed(loads: Sequence[Load]) -> list[str]:
    """Return the failures by code: one sentence for items, one for requests."""
    items, requests = Counter[str](), Counter[str]()
    for load in loads:
        items.update(load.failed)
        requests.update(load.errors)
    named = (("failed items", items), ("requests without an answer", requests))
    return [
        f"{name}: " + ", ".join(f"{code} {count}" for code, count in codes.most_common())
        for name, codes in named
        if codes
    ]


def star(load: Load) -> str:
    """Return the mark of an interrupted load, else an empty string."""
    return "" if load.complete else "*"
