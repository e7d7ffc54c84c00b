"""One measurement of a document, and what it may be compared with. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

# By benchmark, what it measures; the nearest to an application first.
WORDS = {
    "pipeline": "URLs to embeddings",
    "endpoint": "what clients see",
    "encoder": "the encoder alone",
    "interactive_sweep": "queries beside bulk",
}


@dataclass(frozen=True)
class Measured:
    """A document's measurement, at its sweet spot. None: the document does not say.

    name: of the document. kind: the benchmark. load: what was sent; only numbers of one kind and
    one load are comparable. model, fingerprint, precision: what ran. machine, code: where, and in
    which version. images_s: images a second. p95_ms: of a request; of a batch for the encoder; of a
    text for the sweep. million: the price of a million images. core_ms: an image. spot: the sweet
    spot. cosine: the smallest to float32. complete: False when it was interrupted.
    """

    name: str
    kind: str
    load: str
    model: str | None = None
    fingerprint: str | None = None
    precision: str | None = None
    machine: str | None = None
    code: str | None = None
    images_s: float | None = None
    p95_ms: float | None = None
    million: float | None = None
    core_ms: float | None = None
    spot: str | None = None
    cosine: float | None = None
    complete: bool = True

    @property
    def group(self) -> tuple[str, str]:
        """Equal for what is comparable."""
        return self.kind, self.load


def share_cosines(every: Sequence[Measured]) -> list[Measured]:
    """Give each measurement the cosine that another one of the same fingerprint knows."""
    known = {one.fingerprint: one.cosine for one in every if one.cosine is not None}
    return [
        replace(one, cosine=known.get(one.fingerprint)) if one.cosine is None else one
        for one in every
    ]


def groups(every: Sequence[Measured]) -> Mapping[tuple[str, str], list[Measured]]:
    """Return the complete measurements that are comparable, by group, in the order of WORDS."""
    found: dict[tuple[str, str], list[Measured]] = {}
    nearest = list(WORDS)
    for one in sorted(every, key=lambda it: nearest.index(it.kind)):
        if one.complete:
            found.setdefault(one.group, []).append(one)
    return found
