"""Forward passes. A failed batch is split in halves until only the items at fault fail."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from inference.errors import EncodeFailed
from inference.types import Embedding, Failure, Result, Tower
from model.encoder import Encoder, Float32Array, Int64Array
from model.errors import OutOfMemory

log = logging.getLogger(__name__)

FAILED = Failure.of(EncodeFailed("the forward pass failed"))
NOT_FINITE = Failure.of(EncodeFailed("the embedding has numbers that are not finite"))


class Forward:
    """Embeds batches; raises nothing.

    keep_to: called with a tower and the most items of a batch that may fit in memory.
    broken: not even a plain item can be embedded.
    """

    def __init__(self, encoder: Encoder, keep_to: Callable[[Tower, int], None]) -> None:
        self._encoder = encoder
        self._keep_to = keep_to
        self.broken = False

    def run(self, tower: Tower, payloads: Sequence[Any]) -> list[Result]:
        """Embed a batch of at least one item; return one result per payload, in order.

        payloads: uint8 [S, S, 3], or texts. k items at fault among n cost at most 2 k log2(n) extra
        passes.
        """
        results = self._results(tower, payloads)
        if all(result is FAILED for result in results) and not self._works(tower):
            self.broken = True
        return results

    def _results(self, tower: Tower, payloads: Sequence[Any]) -> list[Result]:
        try:
            return self._pass(tower, payloads)
        except Exception as exc:  # noqa: BLE001 - logged below
            count = len(payloads)
            log.warning("a forward pass of %d %ss failed: %r", count, tower, exc)
            if isinstance(exc, OutOfMemory | MemoryError):
                self._keep_to(tower, max(1, count // 2))
        if count == 1:
            return [FAILED]
        middle = count // 2
        return [
            *self._results(tower, payloads[:middle]),
            *self._results(tower, payloads[middle:]),
        ]

    def _pass(self, tower: Tower, payloads: Sequence[Any]) -> list[Result]:
        vectors, lengths = self._encode(tower, payloads)
        if len(vectors) != len(payloads):
            raise RuntimeError(f"{len(vectors)} embeddings of {len(payloads)} items")
        context = self._encoder.spec.context_length
        return [
            Embedding(vector, length > context, min(length, context))
            if np.isfinite(vector).all()
            else NOT_FINITE
            for vector, length in zip(vectors, lengths.tolist(), strict=True)
        ]

    def _encode(self, tower: Tower, payloads: Sequence[Any]) -> tuple[Float32Array, Int64Array]:
        if tower == "text":
            return self._encoder.encode_texts(payloads)
        vectors = self._encoder.encode_images(payloads)
        return vectors, np.zeros(len(vectors), dtype=np.int64)

    def _works(self, tower: Tower) -> bool:
        """Return whether a black image, or a word, can be embedded."""
        side = self._encoder.spec.image_size
        plain = np.zeros((side, side, 3), dtype=np.uint8) if tower == "image" else "a"
        try:
            self._pass(tower, [plain])
        except Exception:
            log.exception("the encoder also fails on a plain %s", tower)
            return False
        return True
