"""Recall between texts and images, over generated thumbnails that training never saw.

python -m model.training.builtin_model.retrieval --model model/builtin
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.encoder import BoolArray, Encoder, Float32Array
from model.images.preprocess import preprocess
from model.synthetic.attributes import Attributes, combinations, held_out
from model.synthetic.captions import caption
from model.synthetic.thumbnails import MAX_SIDE_PX, MIN_SIDE_PX, draw, encode

# Training draws from seeds below this, evaluation from seeds above.
EVALUATION_SEED = 1_000_000_000
PICTURES, HELD_OUT = 240, 72
QUALITY = 60
# Pictures of a combination that the mean-colour baseline knows: enough to average out layout.
BASELINE_PICTURES = 4
BASELINE_SIDE_PX = 32


@dataclass(frozen=True)
class EvaluationSet:
    """N thumbnails of N different combinations, each with a full caption.

    images: JPEG of quality 60, long sides spread over 400..1600 px. held_out: bool [N].
    """

    images: tuple[bytes, ...]
    captions: tuple[str, ...]
    attributes: tuple[Attributes, ...]
    held_out: BoolArray


@dataclass(frozen=True)
class Recalls:
    """Shares, 0..1, of queries whose answer is the first, or among the first five."""

    text_to_image_1: float
    text_to_image_5: float
    image_to_text_1: float
    image_to_text_5: float


def evaluation_set(seed: int = 0) -> EvaluationSet:
    """Return the evaluation set of a seed: 240 thumbnails, 72 of them of held-out combinations."""
    rng = random.Random(EVALUATION_SEED + seed)
    unseen = [each for each in combinations() if held_out(each)]
    seen = [each for each in combinations() if not held_out(each)]
    chosen = [*rng.sample(unseen, HELD_OUT), *rng.sample(seen, PICTURES - HELD_OUT)]
    rng.shuffle(chosen)
    sides = np.linspace(MIN_SIDE_PX, MAX_SIDE_PX, PICTURES).round().astype(int)
    first = EVALUATION_SEED + PICTURES * seed
    pictures = [draw(each, first + i, int(sides[i])) for i, each in enumerate(chosen)]
    return EvaluationSet(
        images=tuple(encode(picture, "JPEG", QUALITY) for picture in pictures),
        captions=tuple(caption(each, rng) for each in chosen),
        attributes=tuple(chosen),
        held_out=np.array([held_out(each) for each in chosen]),
    )


def recall_at(k: int, similarity: Float32Array, queries: BoolArray | None = None) -> float:
    """Return the share of queries whose answer ranks in the first k. A tie counts as a miss.

    similarity: [N, N]; row q is a query, and column q its answer. queries: bool [N], the rows to
    count, by default all. All columns are always possible answers.
    """
    answers = np.diagonal(similarity)[:, None]
    ahead = (similarity >= answers).sum(axis=1) - 1
    found = ahead < k
    return float(found.mean() if queries is None else found[queries].mean())


def recalls(similarity: Float32Array, queries: BoolArray | None = None) -> Recalls:
    """Return recall at 1 and 5 both ways. similarity: [N, N], texts by images, q and q a pair.

    queries: bool [N], the pairs used as queries, by default all.
    """
    return Recalls(
        text_to_image_1=recall_at(1, similarity, queries),
        text_to_image_5=recall_at(5, similarity, queries),
        image_to_text_1=recall_at(1, similarity.T, queries),
        image_to_text_5=recall_at(5, similarity.T, queries),
    )


def embed(encoder: Encoder, evaluation: EvaluationSet) -> tuple[Float32Array, Float32Array]:
    """Embed the images and the captions. Returns two float32 [N, D], unit norm."""
    pixels = np.stack([encoder.spec.preprocessing(image) for image in evaluation.images])
    texts, _ = encoder.encode_texts(evaluation.captions)
    return encoder.encode_images(pixels), texts


def mean_colour_similarity(evaluation: EvaluationSet) -> Float32Array:
    """Compare mean colours only, as a baseline. Returns [N, N]: minus the distance of mean RGB.

    Row q: the expected mean colour of caption q, averaged over other pictures of exactly its
    attributes, drawn from training's seeds. That favours the baseline on held-out combinations.
    """
    expected = np.stack([_expected_colour(each) for each in evaluation.attributes])
    found = np.stack([_mean_colour(image) for image in evaluation.images])
    distance = np.linalg.norm(expected[:, None] - found[None], axis=2)
    return np.asarray(-distance, dtype=np.float32)


def confusions(similarity: Float32Array, attributes: Sequence[Attributes]) -> dict[str, int]:
    """Count the first answers that are wrong in each attribute. similarity: as in recall_at."""
    answers = [attributes[column] for column in similarity.argmax(axis=1)]
    pairs = list(zip(attributes, answers, strict=True))
    return {
        field: sum(getattr(right, field) != getattr(answer, field) for right, answer in pairs)
        for field in Attributes._fields
    }


def _expected_colour(attributes: Attributes) -> Float32Array:
    pictures = (encode(draw(attributes, seed, MIN_SIDE_PX)) for seed in range(BASELINE_PICTURES))
    colours = np.stack([_mean_colour(picture) for picture in pictures])
    return np.asarray(colours.mean(axis=0), dtype=np.float32)


def _mean_colour(image: bytes) -> Float32Array:
    """Return the mean colour of the centre square: float32 [3], 0..255."""
    pixels = preprocess(image, BASELINE_SIDE_PX)
    return np.asarray(pixels.mean(axis=(0, 1)), dtype=np.float32)


def main() -> None:
    """Print recalls, the baseline and the confusions of a checkpoint."""
    import argparse

    from model.config import ModelConfig
    from model.load import load

    parser = argparse.ArgumentParser(prog=f"python -m {__package__}.retrieval", description=__doc__)
    parser.add_argument("--model", default="builtin", help="folder or hub id (builtin)")
    parser.add_argument("--seeds", type=int, default=3, help="evaluation sets (3)")
    arguments = parser.parse_args()
    encoder = load(ModelConfig(model=arguments.model))
    _print_report(encoder, arguments.seeds)
    encoder.close()


def _print_report(encoder: Encoder, seeds: int) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    columns = ("text to image @1", "@5", "image to text @1", "@5")
    table = Table("set", "queries", *columns, title=f"recall, {PICTURES} thumbnails")
    for seed in range(seeds):
        evaluation = evaluation_set(seed)
        images, texts = embed(encoder, evaluation)
        colour = mean_colour_similarity(evaluation)
        rows = {
            "all": recalls(texts @ images.T),
            "held out": recalls(texts @ images.T, evaluation.held_out),
            "mean colour": recalls(colour),
        }
        for name, found in rows.items():
            table.add_row(str(seed), name, *(f"{share:.3f}" for share in vars(found).values()))
        wrong = confusions(texts @ images.T, evaluation.attributes)
        console.print(f"set {seed}, wrong in the first answers: {wrong}")
    console.print(table)


if __name__ == "__main__":
    main()
