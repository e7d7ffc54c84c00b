"""Recall of a model that is in training, in float32, shared among its processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from model.checkpoints.tokenizer import Tokenizer
from model.encoder import Float32Array
from model.errors import TrainingError
from model.training.dual_encoder import DualEncoder
from model.training.gathered import gathered, own_part, part, processes
from model.training.judging.recall import Questions, Recalls, recalls
from model.training.pairs import Pairs


@dataclass(frozen=True)
class Evaluation:
    """held_out: of pairs like those in training. forgetting: of the base's own, if given.

    hardest: misses among the held-out pairs, as `Questions.hardest`.
    """

    held_out: Recalls
    hardest: list[dict[str, Any]]
    forgetting: Recalls | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        rest = None if self.forgetting is None else self.forgetting.as_dict()
        return {"held_out": self.held_out.as_dict(), "forgetting": rest}


class Evaluator:
    """Embeds the same pairs whenever asked."""

    def __init__(
        self, held_out: Pairs, forgetting: Pairs | None, tokenizer: Tokenizer, chunk_size: int
    ) -> None:
        """chunk_size: items that are embedded at once."""
        self._held_out = Questions(held_out)
        self._forgetting = None if forgetting is None else Questions(forgetting)
        self._tokenizer, self._chunk_size = tokenizer, chunk_size

    def evaluate(self, model: DualEncoder) -> Evaluation:
        """Return the recalls. All processes must call it; all get the same."""
        asked = self._held_out
        images, texts = self._embed(model, asked)
        ranks = asked.ranks(images, texts)
        hardest = asked.hardest(images, texts, ranks[0])
        if self._forgetting is None:
            return Evaluation(recalls(*ranks), hardest)
        rest = self._forgetting.ranks(*self._embed(model, self._forgetting))
        return Evaluation(recalls(*ranks), hardest, recalls(*rest))

    def _embed(self, model: DualEncoder, asked: Questions) -> tuple[Float32Array, Float32Array]:
        """Return images float32 [N, D] and texts float32 [T, D]."""

        def images(rows: slice) -> torch.Tensor:
            # A copy, because torch warns of a mapped file, which is read-only.
            pixels = torch.from_numpy(np.array(asked.pairs.pixels[rows]))
            return model.embed_images(pixels.to(model.device))

        def texts(rows: slice) -> torch.Tensor:
            tokens, _ = self._tokenizer(asked.texts[rows])
            return model.embed_texts(torch.from_numpy(tokens).to(model.device))

        model.eval()
        return self._all(images, len(asked.pairs.pixels)), self._all(texts, len(asked.texts))

    @torch.inference_mode()
    def _all(self, embed: Callable[[slice], torch.Tensor], count: int) -> Float32Array:
        """Embed this process's part in chunks, and return the rows of all."""
        own = own_part(count)
        starts = range(own.start, own.stop, self._chunk_size)
        found = [embed(slice(one, min(one + self._chunk_size, own.stop))) for one in starts]
        rows: Float32Array = gathered(torch.cat(found)).cpu().numpy()
        if not np.isfinite(rows).all():  # such would seem to find everything: no other is nearer
            raise TrainingError("the embeddings are no numbers any more; lower the learning rate")
        return _without_repeats(rows, count)


def _without_repeats(rows: Float32Array, count: int) -> Float32Array:
    """Parts are of one size, so the last ones repeat rows of others: see `own_part`."""
    if len(rows) == count:
        return rows
    size = len(rows) // processes()
    whole = np.empty((count, rows.shape[1]), dtype=rows.dtype)
    for rank in range(processes()):
        whole[part(count, rank, processes())] = rows[rank * size : (rank + 1) * size]
    return whole
