"""Texts to token ids, by the checkpoint's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as Backend

from model.checkpoints.faults import checkpoint_faults
from model.encoder import BoolArray
from model.errors import CheckpointError


class Tokenizer:
    """Cuts to the context length and pads to the longest text of the batch.

    Padding with the end token is exact for both ways CLIP finds the end of a text (the first
    end token, or, in legacy configurations with `eos_token_id: 2`, the first of the highest
    id), and because of the causal mask it does not affect earlier tokens.

    end: the end token's id. size: one more than the highest id.
    """

    def __init__(self, backend: Backend, end: int, context_length: int) -> None:
        self._backend = backend
        self._backend.no_truncation()
        self._backend.no_padding()
        self.end = end
        self.size: int = 1 + max(self._backend.get_vocab(with_added_tokens=True).values())
        self._context_length = context_length

    @classmethod
    def of_checkpoint(cls, folder: Path, context_length: int) -> Self:
        """Read a checkpoint's files with transformers; its import takes one to two seconds."""
        from transformers import AutoTokenizer

        with checkpoint_faults("the tokenizer", folder):
            tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        if tokenizer.eos_token_id is None:
            raise CheckpointError(f"the tokenizer in {folder} has no end token")
        return cls(tokenizer.backend_tokenizer, tokenizer.eos_token_id, context_length)

    @classmethod
    def of_file(cls, path: Path, end: int, context_length: int) -> Self:
        """Read a file that `save` wrote."""
        with checkpoint_faults("the tokenizer", path):
            backend = Backend.from_file(str(path))
        return cls(backend, end, context_length)

    def save(self, path: Path) -> None:
        """Write it to one file."""
        self._backend.save(str(path))

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
