"""The parity table: every back end and precision that runs here, compared with transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np

from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.graphs import find
from model.checkpoints.weights import weight_files
from model.config import ModelConfig, Precision
from model.encoder import Encoder, EncoderSpec, Float32Array
from model.fidelity.cosines import Fidelity, fidelity
from model.fidelity.parity import Reference
from model.load import load, open_checkpoint, runnable
from model.synthetic.thumbnails import sample

BATCH = 16
Embed = Callable[[Any], Float32Array]
# Number of items that are embedded both alone and in a batch.
ALONE = 8
SEED = 1_000_000  # far from the seeds of calibration and training
# Added to the captions: one token, no word, more than the context.
ODD_TEXTS = ("login", "?", "ü" * 300)


@dataclass(frozen=True)
class Floor:
    """Limits of a precision. quantile: of the cosines, `min` or `p1`, that `cosine` bounds.

    difference: the largest in any component. invariance: the same, between alone and in a batch.
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
    # The artifact has its own cosine floor. A value rounded the other way differs by a whole step.
    "int8": Floor("p1", 0.99, 1.0, 1e-2),
}


@dataclass(frozen=True)
class Row:
    """One back end in one precision.

    invariance: the largest difference due to batch mates. odd_texts: those of ODD_TEXTS where they
    are apart from `texts`, which is in int8: no scale was calibrated on such texts.
    """

    spec: EncoderSpec
    images: Fidelity
    texts: Fidelity
    invariance: float
    floor: Floor
    odd_texts: Fidelity | None = None

    @property
    def below(self) -> list[str]:
        """One message for each value outside the floor; empty if there is none."""
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

    @property
    def not_judged(self) -> list[str]:
        """What was measured and is held against no floor, in words."""
        found = []
        if self.floor.cosine < 0:
            found.append("cosines, since the gate judged them on items of your own")
        if self.odd_texts is not None:
            found.append(f"odd texts, of cosines from {self.odd_texts.plain.min:.4f}")
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
            "odd_texts": self.odd_texts.as_dict() if self.odd_texts else None,
            "not_judged": self.not_judged,
        }


class Source(Protocol):
    """What embeds as an encoder should."""

    def embed_images(self, images: Sequence[bytes]) -> Float32Array:
        """Embed N encoded images. Returns float32 [N, D], unit norm."""

    def embed_texts(self, texts: Sequence[str]) -> Float32Array:
        """Embed N texts. Returns float32 [N, D], unit norm."""


class Expected:
    """A source's embeddings of `count` generated thumbnails and texts, to compare with.

    count: 8 or more. source: None is transformers with the checkpoint.
    """

    def __init__(self, checkpoint: Checkpoint, count: int, source: Source | None = None) -> None:
        self._checkpoint = checkpoint
        reference = source or Reference(checkpoint.folder)
        some = [sample(SEED + index) for index in range(count)]
        self._images = [one.data for one in some]
        self._texts = [*ODD_TEXTS, *(one.caption for one in some)]
        self._of_images = _embedded(reference.embed_images, self._images)
        self._of_texts = _embedded(reference.embed_texts, self._texts)

    def judge(self, encoder: Encoder) -> Row:
        """Embed the items with an encoder, whose policy must be `reference`, and compare."""
        pixels = np.stack([encoder.spec.preprocessing(image) for image in self._images])
        embed_texts = _text_rows(encoder)
        texts = _embedded(embed_texts, self._texts)
        apart = len(ODD_TEXTS) if encoder.spec.precision == "int8" else 0
        return Row(
            spec=encoder.spec,
            images=fidelity(_embedded(encoder.encode_images, pixels), self._of_images),
            texts=fidelity(texts[apart:], self._of_texts[apart:]),
            odd_texts=fidelity(texts[:apart], self._of_texts[:apart]) if apart else None,
            invariance=max(
                _invariance(encoder.encode_images, pixels), _invariance(embed_texts, self._texts)
            ),
            floor=_floor(self._checkpoint, encoder.spec.precision),
        )


def check(config: ModelConfig, count: int) -> Iterator[Row]:
    """Measure each configuration that runs here, on `count` generated thumbnails and texts.

    Replaces the policy of `config` by `reference`, so that pixels do not add to the differences.

    Raises:
        CheckpointError: the checkpoint cannot be used.
    """
    checkpoint = open_checkpoint(config.model)
    weight_files(checkpoint.folder)  # the reference needs them
    expected = Expected(checkpoint, count)
    for one in runnable(replace(config, policy="reference")):
        encoder = load(one)
        try:
            yield expected.judge(encoder)
        finally:
            encoder.close()


def _text_rows(encoder: Encoder) -> Embed:
    return lambda texts: encoder.encode_texts(texts)[0]


def _embedded(embed: Embed, items: Any) -> Float32Array:
    """Embed all items in batches. Returns float32 [N, D]."""
    parts = (items[start : start + BATCH] for start in range(0, len(items), BATCH))
    return np.concatenate([embed(part) for part in parts])


def _invariance(embed: Embed, items: Any) -> float:
    """Return the largest difference between an item alone, without padding, and in a batch."""
    together = embed(items[:BATCH])[:ALONE]
    alone = np.concatenate([embed(items[index : index + 1]) for index in range(ALONE)])
    return float(np.abs(together - alone).max())


def _floor(checkpoint: Checkpoint, precision: Precision) -> Floor:
    """Return the floor of the precision; for int8 with the cosine floor of the artifact.

    If the artifact was measured on the user's own thumbnails, its cosine on generated ones is only
    shown, not judged.
    """
    floor = FLOORS[precision]
    graphs = find(checkpoint, "int8") if precision == "int8" else None
    if graphs is None:
        return floor
    own = not graphs.fidelity["generated"]
    return replace(floor, cosine=-1.0 if own else graphs.fidelity["floors"]["min_cosine"])
