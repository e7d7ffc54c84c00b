"""The latency curve on data whose truth is known."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.profile.curve import Point, fit, sweet_spot

POWERS = [1, 2, 4, 8, 16, 32, 64, 128]
REFINED = sorted([*POWERS, 3, 6, 12, 24, 48, 96])


def curve_of(times, sizes):
    return fit([Point(n, float(times(n)), float(times(n))) for n in sizes])


def noisy_points(times, sizes, rng):
    """Median and p95 of 7 samples with 10 % of noise."""
    samples = {n: np.abs(times(n) * (1 + 0.1 * rng.standard_normal(7))) for n in sizes}
    return [Point(n, float(np.median(s)), float(np.percentile(s, 95))) for n, s in samples.items()]


@pytest.mark.parametrize("sizes", [POWERS, REFINED], ids=["powers of two", "refined"])
def test_the_sweet_spot_is_found_through_noise(sizes):
    """In 95 % of 400 cases: within a factor of two, and 0.90 of the best true throughput."""
    found = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        b = 10 ** rng.uniform(-1, 1.7)
        a = b * 10 ** rng.uniform(-1, 1.3)
        knee = 2 ** rng.uniform(0, 5)

        def times(n, a=a, b=b, knee=knee):
            return a + b * max(n, knee)

        throughput = {n: n / times(n) for n in sizes}
        best = max(throughput.values())
        truth = next(n for n in sizes if throughput[n] >= 0.95 * best)
        chosen = sweet_spot(fit(noisy_points(times, sizes, rng))).batch_size
        found += 0.5 <= chosen / truth <= 2 and throughput[chosen] >= 0.90 * best
    assert found >= 380


@given(
    a=st.floats(0.1, 100), b=st.floats(0.1, 50), knee=st.sampled_from([2, 4, 8, 16]),
    share=st.floats(0, 0.7),
)  # fmt: skip
def test_pieces_without_noise_are_found_exactly(a, b, knee, share):
    """A line from the knee on, and before it one of a share of its steepness."""

    def times(n):
        return a + b * n if n >= knee else a + b * knee - share * b * (knee - n)

    curve = curve_of(times, POWERS)
    for n in (*POWERS, 5, 100):
        assert curve.latency_ms(n) == pytest.approx(times(n), rel=0.02)
    assert curve.b_ms == pytest.approx(b, rel=0.05)
    assert curve.r2 > 0.99


def test_proportional_times_are_linear_from_1():
    chosen = sweet_spot(curve_of(lambda n: 3.0 * n, POWERS))
    assert chosen.batch_size == 1
    assert chosen.sentence.startswith("already linear at 1")


def test_flat_times_are_still_gaining_at_the_largest():
    chosen = sweet_spot(curve_of(lambda n: 5.0, POWERS))
    assert chosen.batch_size == 128
    assert chosen.sentence.startswith("still gaining at 128")


def test_one_point_is_all_there_is():
    curve = fit([Point(8, 10.0, 12.0)])
    assert sweet_spot(curve).rule == "single"
    assert sweet_spot(curve).batch_size == 8
    assert curve.latency_ms(8) == pytest.approx(10)


def test_times_that_fall_are_taken_for_noise():
    curve = curve_of(lambda n: 10.0 / n, POWERS)
    assert curve.b_ms >= 0
    assert sweet_spot(curve).batch_size == 128


@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=8))
def test_any_times_give_a_measured_size_and_a_curve_that_never_falls(times):
    points = [Point(n, t, t) for n, t in zip(POWERS, times, strict=False)]
    curve = fit(points)
    assert sweet_spot(curve).batch_size in [point.n for point in points]
    latencies = [curve.latency_ms(n) for n in range(1, 130)]
    assert all(later >= 0.999999 * earlier for earlier, later in pairwise(latencies))
    assert all(0 <= curve.slope(n) <= 1 + 1e-9 or curve.a_ms < 0 for n in POWERS)


def test_a_latency_target_takes_the_largest_size_that_keeps_it():
    curve = curve_of(lambda n: 10.0 + n, POWERS)
    assert sweet_spot(curve, latency_target_ms=45).batch_size == 32
    assert sweet_spot(curve, latency_target_ms=45).rule == "latency"
    impossible = sweet_spot(curve, latency_target_ms=5)
    assert impossible.batch_size == 1
    assert "no size keeps the target of 5 ms: 1 already takes 11.0 ms" in impossible.sentence


@given(a=st.floats(0.1, 100), b=st.floats(0.1, 50))
def test_the_fixed_cost_is_that_of_one_line(a, b):
    assert curve_of(lambda n: a + b * n, POWERS).fixed_ms == pytest.approx(a, rel=1e-3)


@given(
    st.lists(st.floats(0.1, 100), min_size=len(POWERS), max_size=len(POWERS)),
    st.integers(1, 64),
    st.integers(1, 64),
)
def test_merging_two_batches_saves_at_most_the_fixed_cost(times, n, m):
    """Whatever the two pieces are."""
    curve = fit([Point(size, time, time) for size, time in zip(POWERS, sorted(times), strict=True)])
    saved = curve.latency_ms(n) + curve.latency_ms(m) - curve.latency_ms(n + m)
    assert saved <= curve.fixed_ms + 1e-6 * curve.latency_ms(n + m)


def test_the_slope_tells_flat_from_linear():
    curve = curve_of(lambda n: 50.0 + n, POWERS)
    assert curve.slope(1) < 0.05
    assert curve.slope(10_000) > 0.95


@pytest.mark.parametrize("points", [[], [Point(1, 0.0, 0.0)], [Point(1, -1.0, 1.0)]])
def test_a_curve_needs_times(points):
    with pytest.raises(ValueError, match="positive time"):
        fit(points)
