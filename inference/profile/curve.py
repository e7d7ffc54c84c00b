"""The latency curve: measured service times -> its pieces, and the sweet spot on it. Pure.

T(n) is the service time of a batch of n. Up to some size the encoder has room to spare and T is
flat, or grows less than in proportion; from there on each item costs the same. Both pieces are
lines that meet at the knee k:

    T(n) = a + b n                    from the knee on
    T(n) = a + b k - c (k - n)        before it, 0 <= c <= b; c = b is one line through all

T(0) is the fixed cost that batching saves; it is a if there is one piece. b is the cost of one more
item from the knee on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]

# The sweet spot is the smallest size within this share of the best throughput.
TOLERANCE = 0.05
# A second piece must remove this share of one line's error; otherwise it only fits noise.
WORTH_A_KNEE = 0.3
# No batch is larger.
UNBOUNDED = 1_000_000


@dataclass(frozen=True)
class Point:
    """One measured batch size. p50_ms, p95_ms: of the service time of a whole batch."""

    n: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Curve:
    """Fitted pieces. a_ms, b_ms, c_ms, knee: as above. r2: of the linear part, 0..1."""

    points: tuple[Point, ...]
    a_ms: float
    b_ms: float
    c_ms: float
    knee: float
    r2: float

    def latency_ms(self, n: float) -> float:
        """T(n), ms."""
        if n >= self.knee:
            return self.a_ms + self.b_ms * n
        return self.a_ms + self.b_ms * self.knee - self.c_ms * (self.knee - n)

    def largest_within(self, limit_ms: float) -> int:
        """Return the largest n with T(n) <= limit_ms; 0 when there is none."""
        over_knee_ms = limit_ms - self.latency_ms(self.knee)
        slope_ms = self.b_ms if over_knee_ms >= 0 else self.c_ms
        if slope_ms == 0:
            return UNBOUNDED if over_knee_ms >= 0 else 0
        # The small addition is for rounding: a limit equal to T(n) allows n.
        n = self.knee + over_knee_ms / slope_ms + 1e-9
        return max(0, min(math.floor(n), UNBOUNDED))

    def throughput(self, n: float) -> float:
        """Return items per second in batches of n."""
        return 1000 * n / self.latency_ms(n)

    @property
    def fixed_ms(self) -> float:
        """The fixed cost of a batch, ms: T(0) on the first measured piece.

        Merging two batches saves T(n) + T(m) - T(n + m), which is never more than this.
        """
        pieces = 2 if self.knee > self.points[0].n else 1
        return max(0.0, self.latency_ms(0) if pieces == 2 else self.a_ms)

    def slope(self, n: float) -> float:
        """Return the slope of log T over log n: 0 is flat, 1 is proportional (batching is over)."""
        if n < self.knee:
            return self.c_ms * n / self.latency_ms(n)
        return self.b_ms * n / self.latency_ms(n)


@dataclass(frozen=True)
class SweetSpot:
    """rule: `throughput`, `latency`, or `single`. sentence: the reason, for people."""

    batch_size: int
    rule: str
    sentence: str


def fit(points: Sequence[Point]) -> Curve:
    """Fit both pieces to the medians, by least squares of relative error.

    Args:
        points: at least one, of distinct sizes.

    Raises:
        ValueError: there are no points, or a time is not positive.
    """
    ordered = tuple(sorted(points, key=lambda point: point.n))
    if not ordered or any(point.p50_ms <= 0 for point in ordered):
        raise ValueError("a curve needs points of positive time")
    n = np.array([point.n for point in ordered], dtype=np.float64)
    t = np.array([point.p50_ms for point in ordered], dtype=np.float64)
    line = _fit_with_knee(n, t, n[0])
    best = min((_fit_with_knee(n, t, knee) for knee in _knees(n)), key=_error, default=line)
    if _error(best) > (1 - WORTH_A_KNEE) * _error(line) or _error(line) < 1e-12:
        best = line
    a, b, c, knee, _ = best
    return Curve(ordered, a, b, c, knee, _r2(n, t, best))


def sweet_spot(curve: Curve, latency_target_ms: float | None = None) -> SweetSpot:
    """Choose a batch size among the measured ones.

    With a target: the largest size whose p95 keeps it. Without: the smallest size within 5 % of the
    best throughput of the fitted curve.
    """
    if latency_target_ms is not None:
        return _within(curve, latency_target_ms)
    sizes = [point.n for point in curve.points]
    if len(sizes) == 1:
        return SweetSpot(sizes[0], "single", f"only batches of {sizes[0]} were measured")
    best = max(curve.throughput(size) for size in sizes)
    chosen = next(n for n in sizes if curve.throughput(n) >= (1 - TOLERANCE) * best)
    return SweetSpot(chosen, "throughput", _explain(chosen, sizes))


def _within(curve: Curve, target_ms: float) -> SweetSpot:
    keeping = [point.n for point in curve.points if point.p95_ms <= target_ms]
    if keeping:
        sentence = f"the largest size whose p95 keeps the target of {target_ms:g} ms"
        if max(keeping) == curve.points[-1].n:
            sentence += ", and the largest that fits or was measured"
        return SweetSpot(max(keeping), "latency", sentence)
    smallest = curve.points[0]
    return SweetSpot(
        smallest.n,
        "latency",
        f"no size keeps the target of {target_ms:g} ms: "
        f"{smallest.n} already takes {smallest.p95_ms:.1f} ms",
    )


def _explain(chosen: int, sizes: Sequence[int]) -> str:
    if chosen == sizes[0]:
        return f"already linear at {chosen}: larger batches gain nothing"
    if chosen == sizes[-1]:
        return f"still gaining at {chosen}, the largest size that fits or was measured"
    return f"the smallest size within {TOLERANCE:.0%} of the best throughput"


_Fit = tuple[float, float, float, float, float]


def _error(fitted: _Fit) -> float:
    return fitted[4]


def _knees(n: Float64Array) -> Float64Array:
    """Return possible knees: measured sizes and between them, with two points to the right."""
    if len(n) < 4:
        return n[1:-1]
    inner = n[1:-1]
    return np.sort(np.concatenate([inner, np.sqrt(inner[:-1] * inner[1:])]))


def _fit_with_knee(n: Float64Array, t: Float64Array, knee: float) -> _Fit:
    """Least squares of relative error for one knee, c within its bounds: (a, b, c, knee, error)."""
    above, below = np.maximum(n - knee, 0), np.maximum(knee - n, 0)
    candidates = []
    for columns, shape in (
        ((np.ones_like(n), above, -below), "free"),
        ((np.ones_like(n), above), "flat"),
        ((np.ones_like(n), above - below), "line"),
    ):
        at_knee, b, *rest = _solve(np.stack(columns, axis=1), t)
        b = 0.0 if abs(b) < 1e-9 * at_knee else b  # rounding
        c = rest[0] if shape == "free" else 0.0 if shape == "flat" else b
        if 0 <= c <= b and at_knee > 0:
            modelled = at_knee + b * above - c * below
            candidates.append((at_knee - b * knee, b, c, float(knee), _loss(modelled, t)))
    if not candidates:  # falling times (noise) or a single size: fit a constant
        mean = float(np.exp(np.log(t).mean()))
        return mean, 0.0, 0.0, float(n[0]), _loss(np.full_like(t, mean), t)
    return min(candidates, key=_error)


def _solve(columns: Float64Array, t: Float64Array) -> list[float]:
    weighted = columns / t[:, None]
    solution, *_ = np.linalg.lstsq(weighted, np.ones_like(t), rcond=None)
    return [float(value) for value in solution]


def _loss(modelled: Float64Array, t: Float64Array) -> float:
    return float((((modelled - t) / t) ** 2).sum())


def _r2(n: Float64Array, t: Float64Array, fitted: _Fit) -> float:
    a, b, _, knee, _ = fitted
    linear = n >= knee
    spread = float(((t[linear] - t[linear].mean()) ** 2).sum())
    if linear.sum() < 2 or math.isclose(spread, 0.0):
        return 1.0
    residual = float(((a + b * n[linear] - t[linear]) ** 2).sum())
    return max(0.0, 1 - residual / spread)
