"""What the measured times of an image mean for other machines, on paper. Pure.

Nothing here was measured on those machines: cores count as equal to the measured ones, with as many
processes as feed them; the images a second of a card are its published peak times an assumed
utilisation.
"""

from __future__ import annotations

import math

CORES = (4, 8, 16, 32, 64)
# Dense float16 tensor TFLOP/s with float32 accumulation, from NVIDIA's data sheets (H100: SXM).
PEAK_TFLOPS = {"L4": 121.0, "A10G": 70.0, "H100": 989.0}
UTILISATION = 0.4


def tower_gflop(layers: int, width: int, tokens: int, patch: int) -> float:
    """Return the GFLOP of one image in a vision transformer; a multiply-add is two operations.

    tokens: patches and the class. patch: side of one in px. The rest is below a thousandth.
    """
    linear = 12 * tokens * width**2  # query, key, value, output; two layers of four times the width
    attention = 2 * tokens**2 * width
    patches = (tokens - 1) * 3 * patch**2 * width
    return 2 * (layers * (linear + attention) + patches) / 1e9


GFLOP = {
    "ViT-B/32": tower_gflop(layers=12, width=768, tokens=50, patch=32),
    "ViT-L/14": tower_gflop(layers=24, width=1024, tokens=257, patch=14),
}


def card_images_s(peak_tflops: float, gflop: float) -> float:
    """Return the images a second that a card is assumed to encode."""
    return 1000 * peak_tflops * UTILISATION / gflop


def most_images_s(cores: float, core_ms: float, lock_ms: float) -> float:
    """Return the images a second that cores can prepare. core_ms, lock_ms: an image's.

    All processes share the cores, and one lock is held for each image in turn.
    """
    by_lock = 1000 / lock_ms if lock_ms else math.inf  # no sample has shown it
    return min(1000 * cores / core_ms, by_lock)


def cores_for(images_s: float, core_ms: float, lock_ms: float) -> int | None:
    """Return the cores that prepare so many images; None if the lock allows fewer on any number."""
    return math.ceil(images_s * core_ms / 1000) if images_s * lock_ms <= 1000 else None
