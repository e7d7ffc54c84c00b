"""Each precision compared with transformers in float32, by `sweetspot check`'s floors."""

from __future__ import annotations

from benchmarks.gpu.checkpoints import checkpoint
from benchmarks.gpu.encoders import opened, precisions
from benchmarks.gpu.plan import Box, Found, Numbers, Plan
from model.checkpoints.checkpoint import verify
from model.fidelity.check import Expected

# Thumbnails; there are a few more texts. The reference takes some 0.3 s for each on ViT-L/14.
IMAGES, QUICK_IMAGES = 16, 8


def run(plan: Plan, box: Box) -> Found:
    """Judge every precision on every model."""
    numbers: Numbers = {}
    problems: list[str] = []
    count = QUICK_IMAGES if plan.quick else IMAGES
    for name in plan.models:
        expected = Expected(verify(checkpoint(plan, name)), count)
        numbers[name] = {}
        for precision in precisions(plan):
            with opened(plan, name, precision) as encoder:
                row = expected.judge(encoder)
            numbers[name][precision] = row.as_dict()
            problems += [f"{name} in {precision}: {below}" for below in row.below]
            box.note(numbers)
    return Found(numbers, _words(worst(numbers)), tuple(problems))


def worst(numbers: Numbers) -> dict[str, float]:
    """Return the smallest cosine of either tower by precision, over all models."""
    found: dict[str, float] = {}
    for of in numbers.values():
        for precision, row in of.items():
            smallest = min(row[tower]["plain"]["min"] for tower in ("images", "texts"))
            found[precision] = min(found.get(precision, 1.0), smallest)
    return found


def _words(smallest: dict[str, float]) -> str:
    listed = [f"{precision} {cosine:.6f}" for precision, cosine in smallest.items()]
    return f"smallest cosine: {', '.join(listed)}"
