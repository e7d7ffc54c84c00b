"""Texts to token ids, by the checkpoint's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.encoder import BoolArray
from model.errors import CheckpointError


class Tokenizer:
    """Cuts to the context length and pads to the longest text of the batch.

    Padding with the end token is exact for both ways CLIP finds the end of a text (the first
    end token, or, in legacy configurations with `eos_token_id: 2`, the first of the highest
    id), and the causal mask keeps it from reaching what stands before.

    end: the end token's id. size: one more than the highest id.
    """

    def __init__(self, folder: Path, context_length: int) -> None:
        from transformers import AutoTokenizer

        try:
            tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as exc:  # tokenizers raises bare Exception
            raise CheckpointError(f"the tokenizer in {folder} cannot be loaded: {exc}") from exc
        if tokenizer.eos_token_id is None:
            raise CheckpointError(f"the tokenizer in {folder} has no end token")
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self.end: int = tokenizer.eos_token_id
        self.size: int = 1 + max(self._backend.get_vocab(with_added_tokens=True).values())
        self._context_length = context_length

    def __call__(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], BoolArray]:
        """Tokenise N texts. Returns int64 [N, L], L <= context length, and bool [N]: was cut."""
        ids = [encoding.ids for encoding in self._backend.encode_batch(list(texts))]
        truncated = np.array([len(row) > self._context_length for row in ids], dtype=np.bool_)
        length = min(max(len(row) for row in ids), self._context_length)
        tokens = np.full((len(ids), length), self.end, dtype=np.int64)
        for row, values in zip(tokens, ids, strict=True):
            kept = values if len(values) <= length else [*values[: length - 1], self.end]
            row[: len(kept)] = kept
        return tokens, truncated
