"""OpenAI's tokenizer and image processor, as files of a checkpoint."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer

from model.checkpoints.families import CLIP_IMAGES

# The merges that OpenAI published; LICENSE beside it is theirs.
MERGES = Path(__file__).parent / "merges.txt.gz"
START, END = "<|startoftext|>", "<|endoftext|>"
# Bytes that print, which stand for themselves; the others follow as code points from 256.
PRINTED = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), 256)]


def write_tokenizer(folder: Path, context_length: int) -> None:
    """Write tokenizer.json and tokenizer_config.json. context_length: tokens."""
    merges = _merges()
    pairs: Any = [*merges]  # the annotation of CLIPTokenizer has them joined
    tokenizer = CLIPTokenizer(
        vocab=vocabulary(merges), merges=pairs, model_max_length=context_length
    )
    tokenizer.save_pretrained(folder)


def write_processor(folder: Path, size: int, changes: Mapping[str, Any]) -> None:
    """Write preprocessor_config.json: resize the shorter side to `size` px, crop a square.

    changes: keys with other values than OpenAI's.
    """
    config = {
        **CLIP_IMAGES,
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": size},
        "crop_size": {"height": size, "width": size},
        **changes,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(config, indent=2) + "\n")


def vocabulary(merges: tuple[tuple[str, str], ...]) -> dict[str, int]:
    """Return ids by token: bytes, bytes that end a word, merges, start, end."""
    others = len(set(range(256)) - set(PRINTED))
    letters = [*map(chr, PRINTED), *(chr(256 + index) for index in range(others))]
    ends = [f"{letter}</w>" for letter in letters]
    tokens = [*letters, *ends, *map("".join, merges), START, END]
    return {token: index for index, token in enumerate(tokens)}


@cache
def _merges() -> tuple[tuple[str, str], ...]:
    """Read the merges, in order. The first line is a version."""
    lines = gzip.decompress(MERGES.read_bytes()).decode().splitlines()[1:]
    pairs = (line.split() for line in lines)
    return tuple((first, second) for first, second in pairs)
