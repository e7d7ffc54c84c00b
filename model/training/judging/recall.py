"""How well pictures and captions find each other: ranks, recalls, and the hardest misses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.encoder import BoolArray, Float32Array, Int64Array
from model.training.pairs import Pairs

AT = (1, 5, 10)
# Similarities that are in memory at once: 64 MB.
BLOCK_NUMBERS = 2**24
HARDEST = 20


@dataclass(frozen=True)
class Recalls:
    """Shares, 0..1, of queries of which a right answer is among the first k, by k of `AT`."""

    text_to_image: dict[int, float]
    image_to_text: dict[int, float]

    @property
    def score(self) -> float:
        """One number to compare by: the mean of recall at 1 in both directions."""
        return (self.text_to_image[1] + self.image_to_text[1]) / 2

    def as_dict(self) -> dict[str, dict[str, float]]:
        """Return it with the names `text_to_image` and `image_to_text`, and keys as JSON has."""
        both = vars(self).items()
        return {name: {str(k): share for k, share in found.items()} for name, found in both}


class Questions:
    """The captions of pairs, each once, and which pictures they describe.

    texts: T different captions. A caption that several pictures share is answered by any of them.
    """

    def __init__(self, pairs: Pairs) -> None:
        numbers: dict[str, int] = {}
        edges = [
            (numbers.setdefault(text, len(numbers)), row)
            for row, texts in enumerate(pairs.captions)
            for text in texts
        ]
        self.pairs, self.texts = pairs, list(numbers)
        self._text, self._row = np.array(edges, dtype=np.int64).T

    def ranks(self, images: Float32Array, texts: Float32Array) -> tuple[Int64Array, Int64Array]:
        """Return each text's rank of its best right picture, [T], and the reverse, [N]; 0 is first.

        images: [N, D]. texts: [T, D], in the order of `texts`. A tie counts as a miss.
        """
        there = _ranks(texts, images, self._text, self._row)
        return there, _ranks(images, texts, self._row, self._text)

    def hardest(
        self, images: Float32Array, texts: Float32Array, ranks: Int64Array
    ) -> list[dict[str, Any]]:
        """Return the captions whose pictures are found last, the worst first.

        Each with its text, the `row` of a picture of it, that picture's `rank` (0 is first), and
        the row that was `found` first. ranks: of texts.
        """
        worst = np.argsort(-ranks, kind="stable")[:HARDEST]
        rows = [int(self._row[self._text == text][0]) for text in worst]
        return [
            {
                "text": self.texts[text],
                "row": row,
                "rank": int(ranks[text]),
                "found": int((images @ texts[text]).argmax()),
            }
            for text, row in zip(worst, rows, strict=True)
            if ranks[text] > 0
        ]


def recalls(ranks_of_texts: Int64Array, ranks_of_images: Int64Array) -> Recalls:
    """Return the shares of ranks below each k. Both as `Questions.ranks` returns them."""
    return Recalls(
        text_to_image={k: float((ranks_of_texts < k).mean()) for k in AT},
        image_to_text={k: float((ranks_of_images < k).mean()) for k in AT},
    )


def _ranks(
    queries: Float32Array, answers: Float32Array, query: Int64Array, answer: Int64Array
) -> Int64Array:
    """Rank answers by dot product. query, answer: [E], the pairs that are right."""
    found = np.empty(len(queries), dtype=np.int64)
    for block, right in _blocks(len(queries), len(answers), query, answer):
        similarity = queries[block] @ answers.T  # [block, answers]
        best = np.where(right, similarity, -np.inf).max(axis=1, keepdims=True)
        found[block] = ((similarity >= best) & ~right).sum(axis=1)
    return found


def _blocks(
    queries: int, answers: int, query: Int64Array, answer: Int64Array
) -> Iterator[tuple[slice, BoolArray]]:
    """Yield ranges of queries, and which answers are right for each, bool [block, answers]."""
    size = max(1, BLOCK_NUMBERS // answers)
    for first in range(0, queries, size):
        block = slice(first, min(queries, first + size))
        right = np.zeros((block.stop - first, answers), dtype=np.bool_)
        inside = (query >= first) & (query < block.stop)
        right[query[inside] - first, answer[inside]] = True
        yield block, right
