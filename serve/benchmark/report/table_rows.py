"""What terminal and page show alike: tables before they are drawn, and what failed. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from inference.loadtest.summary import Load

PARTIAL = "interrupted: partial (*), only what was measured until then"


@dataclass(frozen=True)
class Rows:
    """A table of cells as they are shown. best: the index of the row to point out."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    best: int | None = None


def failed(loads: Sequence[Load]) -> list[str]:
    """What failed, by code, in a sentence for items and one for requests."""
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
    """The mark of a load that was interrupted."""
    return "" if load.complete else "*"
