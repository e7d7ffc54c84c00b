"""The parity table: every back end and precision that runs here against transformers itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from model.checkpoint import Checkpoint
from model.config import ModelConfig, Precision
from model.encoder import Encoder, EncoderSpec, UInt8Array
from model.fidelity import Fidelity, fidelity
from model.graphs import find
from model.load import load, open_checkpoint, runnable
from model.parity import Reference
from model.thumbnails import sample

BATCH = 16
# Of these each is embedded alone and among all others.
ALONE = 8
SEED = 1_000_000  # far from those that calibrate and train
# Beside captions: one token, one that is no word, more than the context.
ODD_TEXTS = ("login", "?", "ü" * 300)


@dataclass(frozen=True)
class Floor:
    """What a precision keeps. quantile: of the cosines, `min` or `p1`, that `cosine` bounds.

    difference: the largest of any one number. invariance: the same, between alone and in company.
    """

    quantile: str
    cosine: float
    difference: float
    invariance: float


FLOORS: dict[Precision, Floor] = {
    "float32": Floor("min", 0.99999, 1e-4, 1e-5),
    "float16": Floor("min", 0.9999, 5e-3, 2e-3),
    # 8 bits of mantissa, rounded at every layer.
    "bfloat16": Floor("p1", 0.999, 2e-2, 1e-2),
    # Its cosine is the artifact's own floor; a rounding that falls the other way is a whole step.
    "int8": Floor("p1", 0.99, 1.0, 1e-2),
}


@dataclass(frozen=True)
class Row:
    """One back end in one precision. invariance: the largest difference through batch mates."""

    spec: EncoderSpec
    images: Fidelity
    texts: Fidelity
    invariance: float
    floor: Floor

    @property
    def below(self) -> list[str]:
        """What is below its floor, in words; empty when all is well."""
        found = []
        for tower, one in (("image", self.images), ("text", self.texts)):
            cosine = getattr(one.plain, self.floor.quantile)
            if not cosine >= self.floor.cosine:
                found.append(f"{tower} cosine {cosine:.6f} is below {self.floor.cosine}")
            if not one.max_difference <= self.floor.difference:
                found.append(f"{tower} difference {one.max_difference:.1e} is above the limit")
        if not self.invariance <= self.floor.invariance:
            found.append(f"batch mates change an embedding by {self.invariance:.1e}")
        return found

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "backend": self.spec.backend,
            "device": self.spec.device,
            "precision": self.spec.precision,
            "images": self.images.as_dict(),
            "texts": self.texts.as_dict(),
            "invariance": self.invariance,
            "floor": asdict(self.floor),
            "below": self.below,
        }


def check(config: ModelConfig, count: int) -> Iterator[Row]:
    """Measure what runs here, one after the other, on `count` generated thumbnails and texts.

    Pixels are the reference's, whatever the policy of `config`: the rest is what is compared.

    Raises:
        CheckpointError: the checkpoint cannot be used.
    """
    checkpoint = open_checkpoint(config.model)
    reference = Reference(checkpoint.folder)
    some = [sample(SEED + index) for index in range(count)]
    images = [one.data for one in some]
    texts = [*ODD_TEXTS, *(one.caption for one in some)]
    expected_images = np.concatenate([reference.embed_images(part) for part in _parts(images)])
    expected_texts = np.concatenate([reference.embed_texts(part) for part in _parts(texts)])
    for one in runnable(replace(config, policy="reference")):
        encoder = load(one)
        try:
            pixels = np.stack([encoder.preprocess(image) for image in images])
            ours = np.concatenate([encoder.encode_images(part) for part in _parts(pixels)])
            said = np.concatenate([encoder.encode_texts(part)[0] for part in _parts(texts)])
            yield Row(
                spec=encoder.spec,
                images=fidelity(ours, expected_images),
                texts=fidelity(said, expected_texts),
                invariance=max(
                    _image_invariance(encoder, pixels), _text_invariance(encoder, texts)
                ),
                floor=_floor(checkpoint, encoder.spec.precision),
            )
        finally:
            encoder.close()


def _parts(items: Any) -> Iterator[Any]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def _image_invariance(encoder: Encoder, pixels: UInt8Array) -> float:
    together = encoder.encode_images(pixels[:BATCH])
    alone = np.concatenate([encoder.encode_images(one[None]) for one in pixels[:ALONE]])
    return float(np.abs(together[:ALONE] - alone).max())


def _text_invariance(encoder: Encoder, texts: Sequence[str]) -> float:
    """Alone a text is padded to no other's length."""
    together, _ = encoder.encode_texts(texts[:BATCH])
    alone = np.concatenate([encoder.encode_texts([one])[0] for one in texts[:ALONE]])
    return float(np.abs(together[:ALONE] - alone).max())


def _floor(checkpoint: Checkpoint, precision: str) -> Floor:
    """That of the precision; of int8 with the cosine that the artifact was let pass with.

    Its gate was on the user's own thumbnails, where it was given them: on generated ones its cosine
    is then shown and not judged.
    """
    floor = FLOORS[precision]  # type: ignore[index]  # an encoder's is one of them
    graphs = find(checkpoint, "int8") if precision == "int8" else None
    if graphs is None:
        return floor
    own = not graphs.fidelity["generated"]
    return replace(floor, cosine=-1.0 if own else graphs.fidelity["floors"]["min_cosine"])
