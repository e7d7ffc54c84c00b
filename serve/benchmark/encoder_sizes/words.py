"""Sentences about a tower's measurement, for terminal and page. Pure."""

from __future__ import annotations

from inference.tuning.tune import Tuned


def equation(tuned: Tuned) -> str:
    """Return the linear piece of the curve, in words."""
    curve = tuned.curve
    line = f"T(n) = {curve.a_ms:.1f} + {curve.b_ms:.2f} n ms"
    words = f"{line} from n = {curve.knee:.0f} on, R² {curve.r2:.3f}"
    return words if curve.a_ms >= 0 else f"{words}: there latency grows faster than the batch"


def warning(tuned: Tuned) -> str:
    """Return why the result is unreliable; empty when it is reliable."""
    if not tuned.complete:
        return "interrupted: partial, only what was measured until then"
    if tuned.is_noisy:
        said = f"too noisy to decide: medians of repeats differ by {tuned.noise:.0%}"
        return f"{said}; stop other programs and measure again"
    return ""
