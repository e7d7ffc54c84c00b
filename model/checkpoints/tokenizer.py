"""Texts to token ids, by the checkpoint's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from tokenizers import Tokenizer as FastTokenizer

from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.faults import checkpoint_faults
from model.checkpoints.quiet import quiet_transformers
from model.encoder import Int64Array
from model.errors import CheckpointError


class Tokens(Protocol):
    """Turns texts into ids, with the tokens at their start and end. size: above all ids."""

    size: int

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, of any length."""

    def save(self, path: Path) -> bool:
        """Write it to one file. Return False if it has no such form."""


class Tokenizer:
    """Cuts to the context length and pads to the longest text of the batch, or to the context.

    To pad with the end token up to the longest text is exact for both ways CLIP finds the end of a
    text (the first end token, or, in legacy configurations with `eos_token_id: 2`, the first of the
    highest id), and because of the causal mask it does not affect earlier tokens. SigLIP attends to
    its padding, so its texts are padded to the context with the token of its training.

    end: the end token's id. pad: the token to pad to the context with; None pads to the longest.
    """

    def __init__(
        self, tokens: Tokens, end: int, context_length: int, pad: int | None = None
    ) -> None:
        self._tokens = tokens
        self.end, self.pad = end, pad
        self.size = tokens.size
        self._context_length = context_length

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint) -> Self:
        """Read a checkpoint's files with transformers; its import takes one to two seconds."""
        from transformers import AutoTokenizer

        folder = checkpoint.folder
        # It warns of a ResNet's config.json, which is none of its own.
        with checkpoint_faults("the tokenizer", folder), quiet_transformers():
            found: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        if found.eos_token_id is None:
            raise CheckpointError(f"the tokenizer in {folder} has no end token")
        pad = None
        if checkpoint.family.pads_texts:
            pad = found.pad_token_id
            if pad is None or found.padding_side != "right":
                raise CheckpointError(f"the tokenizer in {folder} does not pad on the right")
        fast = getattr(found, "backend_tokenizer", None)
        tokens = _Slow(found) if fast is None else _Fast(fast)
        return cls(tokens, found.eos_token_id, checkpoint.context_length, pad)

    @classmethod
    def of_file(cls, path: Path, end: int, context_length: int, pad: int | None = None) -> Self:
        """Read a file that `save` wrote."""
        with checkpoint_faults("the tokenizer", path):
            fast = FastTokenizer.from_file(str(path))
        return cls(_Fast(fast), end, context_length, pad)

    def save(self, path: Path) -> bool:
        """Write it to one file. Return False if it can only be read from its checkpoint."""
        return self._tokens.save(path)

    @property
    def fixed_length(self) -> int | None:
        """The length of all texts; None if it varies."""
        return None if self.pad is None else self._context_length

    def __call__(self, texts: Sequence[str]) -> tuple[Int64Array, Int64Array]:
        """Tokenise N texts. Returns int64 [N, L], L <= context length, and [N]: tokens of each.

        Texts with more tokens than the context length are cut to it.
        """
        ids = self._tokens(texts)
        lengths = np.array([len(row) for row in ids], dtype=np.int64)
        length = self.fixed_length or min(int(lengths.max()), self._context_length)
        pad = self.end if self.pad is None else self.pad
        tokens = np.full((len(ids), length), pad, dtype=np.int64)
        for row, values in zip(tokens, ids, strict=True):
            kept = values if len(values) <= length else [*values[: length - 1], self.end]
            row[: len(kept)] = kept
        return tokens, lengths


class _Fast:
    """A tokenizer of the library `tokenizers`."""

    def __init__(self, fast: FastTokenizer) -> None:
        self._fast = fast
        self._fast.no_truncation()
        self._fast.no_padding()
        self.size = 1 + max(self._fast.get_vocab(with_added_tokens=True).values())

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._fast.encode_batch(list(texts))]

    def save(self, path: Path) -> bool:
        self._fast.save(str(path))
        return True


class _Slow:
    """A tokenizer of transformers in Python: SigLIP's, which rewrites a text before its pieces."""

    def __init__(self, slow: Any) -> None:
        self._slow = slow
        self.size = 1 + max(slow.get_vocab().values())

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._ids(text) for text in texts]

    def save(self, path: Path) -> bool:  # noqa: ARG002 - it has files of its own
        return False

    def _ids(self, text: str) -> list[int]:
        """Return what its `encode` returns, which warns of long texts and of end tokens in them."""
        ids: list[int] = self._slow.convert_tokens_to_ids(self._slow.tokenize(text))
        end = self._slow.eos_token_id
        return ids if ids[-1:] == [end] else [*ids, end]
