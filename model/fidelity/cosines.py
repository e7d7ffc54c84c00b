"""Similarity of two sets of embeddings of the same items. NumPy only."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from model.encoder import Float32Array

NEIGHBOURS = 10


@dataclass(frozen=True)
class Cosines:
    """Cosines of matching rows: the smallest, the first percentile, the mean."""

    min: float
    p1: float
    mean: float


@dataclass(frozen=True)
class Fidelity:
    """Agreement of embeddings with those of the reference.

    plain: cosines as they are. centred: cosines after the reference's mean embedding is subtracted
    from both, because unrelated images of one kind may have a plain cosine above 0.9.
    max_difference: in any component. overlap: mean share, 0..1, of each row's nearest neighbours in
    the set that are the same in both; None if the set is too small.
    """

    count: int
    plain: Cosines
    centred: Cosines
    max_difference: float
    overlap: float | None

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def fidelity(ours: Float32Array, theirs: Float32Array) -> Fidelity:
    """Compare float32 [N, D] of unit norm with the reference's, row by row.

    A row that holds a NaN or an infinity counts as zeros, so its cosine is 0.
    """
    first, second = ours.astype(np.float64), theirs.astype(np.float64)
    first[~np.isfinite(first).all(axis=1)] = 0.0
    mean = second.mean(axis=0)
    return Fidelity(
        count=len(ours),
        plain=_cosines(first, second),
        centred=_cosines(first - mean, second - mean),
        max_difference=float(np.abs(first - second).max()),
        overlap=_overlap(first, second) if len(ours) > 2 * NEIGHBOURS else None,
    )


def _cosines(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> Cosines:
    """Compare row by row. Equal zero rows (a centred set of one) have 1; other zero rows have 0."""
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    equal = (ours == theirs).all(axis=1)
    found = np.divide((ours * theirs).sum(axis=1), lengths, out=equal * 1.0, where=lengths > 0)
    return Cosines(float(found.min()), float(np.percentile(found, 1)), float(found.mean()))


def _overlap(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    first, second = _nearest(ours), _nearest(theirs)
    shared = [len(set(a) & set(b)) for a, b in zip(first, second, strict=True)]
    return float(np.mean(shared)) / NEIGHBOURS


def _nearest(vectors: NDArray[np.float64]) -> list[list[int]]:
    """Return the nearest other rows of each row by cosine. vectors: unit norm."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    nearest: list[list[int]] = np.argpartition(-cosines, NEIGHBOURS, axis=1)[
        :, :NEIGHBOURS
    ].tolist()
    return nearest
