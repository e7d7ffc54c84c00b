"""Compare back ends and precisions: how close each is to float32, and which one to use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.checkpoints.graphs import find
from model.encoder import Encoder, EncoderSpec, Float32Array
from model.fidelity.cosines import fidelity
from model.load import open_checkpoint
from model.synthetic.thumbnails import sample
from serve.benchmark.encoder_sizes.profiles import Measured

# SEEDS: of the images and captions that each encoder embeds. Below EXACT, embeddings differ.
SEEDS = range(32)
EXACT = 0.99999


def embeddings(encoder: Encoder) -> tuple[Float32Array, Float32Array]:
    """Embed the images and captions of SEEDS. Returns two float32 [N, D]: images, texts."""
    some = [sample(seed) for seed in SEEDS]
    pixels = np.stack([encoder.spec.preprocessing(one.data) for one in some])
    return encoder.encode_images(pixels), encoder.encode_texts([one.caption for one in some])[0]


def smallest_cosine(
    ours: tuple[Float32Array, Float32Array], theirs: tuple[Float32Array, Float32Array]
) -> float:
    """Return the smallest cosine of both towers. theirs: of the first back end, torch."""
    return min(fidelity(*pair).plain.min for pair in zip(ours, theirs, strict=True))


def recorded_cosine(model: str | None, spec: EncoderSpec) -> float | None:
    """Return the smallest cosine to float32 that int8 was recorded with; None for other precisions.

    model: as in the settings.
    """
    graphs = find(open_checkpoint(model), "int8") if spec.precision == "int8" else None
    return None if graphs is None else graphs.cosine


def images_s(found: Measured) -> float:
    """Return the images a second at the back end's own sweet spot."""
    tuned = found.towers["image"]
    return tuned.fitted_items_s(tuned.spot.batch_size)


def advice(every: Sequence[Measured]) -> list[str]:
    """Name the fastest with float32's embeddings, then each faster one with its cosine."""
    exact = [found for found in every if found.cosine >= EXACT]
    if len(every) < 2 or not exact:
        return []
    best = max(exact, key=images_s)
    faster = [found for found in every if images_s(found) > images_s(best)]
    return [
        f"take {best.words}: the fastest with float32's embeddings",
        *(_price(found, best) for found in sorted(faster, key=images_s)),
    ]


def _price(found: Measured, best: Measured) -> str:
    return (
        f"{found.words}: {images_s(found) / images_s(best):.1f} x as fast, smallest cosine "
        f"{found.cosine:.5f}; --precision {found.spec.precision}, after `sweetspot check`"
    )
