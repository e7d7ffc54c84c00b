"""A SigLIP's tokenizer as one file, which rewrites a text as open_clip does before its pieces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, normalizers

from model.checkpoints.checkpoint import TOKENIZER_OPTIONS
from model.checkpoints.faults import checkpoint_faults
from model.checkpoints.layouts import read_json
from model.checkpoints.quiet import quiet_transformers
from model.errors import CheckpointError

FILE = "tokenizer.json"
NAMED = ("eos_token", "pad_token", "unk_token")
# The end of a Greek word in capitals, which Python turns into another small letter. The library
# does not: it looks at letters one by one.
SIGMA_AT_AN_END = Regex(r"(?<=[\p{Lu}\p{Ll}\p{Lt}])Σ(?!\p{M}*[\p{Lu}\p{Ll}\p{Lt}])")
# open_clip's `canonicalize`: no punctuation of ASCII, lower case, single blanks.
CANONICAL = normalizers.Sequence(
    [
        normalizers.Replace("_", " "),
        normalizers.Replace(Regex(r"[!-/:-@\[-`{-~]"), ""),
        normalizers.Replace(SIGMA_AT_AN_END, "ς"),
        normalizers.Lowercase(),
        normalizers.Replace(Regex(r"[\s\x1c-\x1f]+"), " "),
        normalizers.Strip(),
    ]
)


def read_tokenizer(folder: Path) -> Any:
    """Open a folder's tokenizer with transformers, as open_clip does.

    Raises:
        CheckpointError: it is missing, broken, or has not what a SigLIP needs.
    """
    from transformers import AutoTokenizer

    read_json(folder / FILE)
    with checkpoint_faults("the tokenizer", folder), quiet_transformers():
        found: Any = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    if found.eos_token_id is None or found.pad_token_id is None or found.padding_side != "right":
        raise CheckpointError(f"the tokenizer in {folder} does not end texts and pad on the right")
    if getattr(found, "backend_tokenizer", None) is None:
        raise CheckpointError(f"the tokenizer in {folder} is not one of the library `tokenizers`")
    return found


def write_tokenizer(found: Any, folder: Path, context_length: int, rows: int) -> None:
    """Write tokenizer.json and tokenizer_config.json. context_length: tokens. rows: of ids."""
    named = {key: getattr(found, key) for key in NAMED if getattr(found, key) is not None}
    _canonical(found.backend_tokenizer, set(named.values()), rows).save(str(folder / FILE))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context_length,
        "padding_side": "right",
        **named,
    }
    (folder / TOKENIZER_OPTIONS[0]).write_text(json.dumps(config, indent=2) + "\n")


def _canonical(fast: Tokenizer, named: set[str], rows: int) -> Tokenizer:
    """Return a tokenizer that rewrites texts first.

    Added tokens are looked for before that. Those that no rewritten text can hold, such as line
    breaks and tags, are added no more. named: the special ones, which stay. Pieces of that kind
    that have no row in the weights, T5's `<extra_id_0>` and so on, are left out, too.
    """
    described = json.loads(fast.to_str())
    described["added_tokens"] = [
        one for one in described["added_tokens"] if one["content"] in named or _held(one["content"])
    ]
    model = described["model"]
    if model["type"] == "Unigram" and not any(_held(piece) for piece, _ in model["vocab"][rows:]):
        del model["vocab"][rows:]
    result = Tokenizer.from_str(json.dumps(described))
    own = result.normalizer
    result.normalizer = CANONICAL if own is None else normalizers.Sequence([CANONICAL, own])
    result.no_truncation()
    result.no_padding()
    return result


def _held(piece: str) -> bool:
    """Whether a rewritten text can hold it."""
    return CANONICAL.normalize_str(piece) == piece
