"""A CLIP tokenizer learned from captions: byte-level BPE in CLIP's own layout.

Vocabulary, as in CLIP: 256 bytes, the same bytes at a word's end, the merges, then
`<|startoftext|>` and `<|endoftext|>`. Texts in every script have ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import CLIPTokenizer

START, END, WORD_END = "<|startoftext|>", "<|endoftext|>", "</w>"


def train_tokenizer(texts: Iterable[str], vocabulary_size: int, length: int) -> CLIPTokenizer:
    """Learn merges from texts. length: context length in tokens, both ends included."""
    merges = _learn_merges(texts, vocabulary_size)
    # CLIP's order of the byte symbols: printable ones first, as in its published vocabulary.
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    entries = [*symbols, *(symbol + WORD_END for symbol in symbols)]
    entries += [first + second for first, second in merges]
    entries += [START, END]
    vocabulary = {entry: number for number, entry in enumerate(dict.fromkeys(entries))}
    # transformers' annotation lacks the pairs that tokenizers requires.
    pairs: Any = merges
    return CLIPTokenizer(vocab=vocabulary, merges=pairs, model_max_length=length)


def save_tokenizer(tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json, and the older vocab.json and merges.txt."""
    tokenizer.save_pretrained(folder)
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    vocabulary = json.dumps(model["vocab"], ensure_ascii=False)
    (folder / "vocab.json").write_text(vocabulary, encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"]), ""]
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")


def _learn_merges(texts: Iterable[str], vocabulary_size: int) -> list[tuple[str, str]]:
    # An empty CLIP tokenizer has CLIP's normalizer and word splitting.
    learner = CLIPTokenizer().backend_tokenizer
    learner.model = BPE(end_of_word_suffix=WORD_END)
    trainer = BpeTrainer(
        vocab_size=vocabulary_size - 2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix=WORD_END,
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    merges = json.loads(learner.to_str())["model"]["merges"]
    return [(first, second) for first, second in merges]
