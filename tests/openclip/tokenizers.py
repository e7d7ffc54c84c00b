"""Tokenizers in the folders of open_clip's SigLIPs, made as open_clip made the published ones."""

import json
from functools import partial

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import T5Tokenizer

from tests.checkpoints import train_pieces

# Of Gemma's, some are tokens whatever is around them. None is left in a text that open_clip cleans.
ADDED = ["\n\n", "<b>", "</b>"]


def write_t5(folder, rule="nmt_nfkc"):
    """SigLIP's: pieces of sentencepiece, opened as a T5's without its extra tokens.

    rule: which letters it holds to be the same; `nmt_nfkc` of the published ones is a large table.
    """
    train_pieces(folder / "spiece.model", normalization_rule_name=rule)
    found = T5Tokenizer.from_pretrained(
        folder, extra_ids=0, additional_special_tokens=[], pad_token="</s>"
    )
    found.save_pretrained(folder)


def write_gemma(folder):
    """SigLIP 2's: Gemma's, ended by <eos>, padded on the right."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    capitals = [one.upper() for one in letters]
    merges = [("l", "o"), ("lo", "g"), ("i", "n")]
    tokens = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", *letters]
    tokens += [*capitals, *map("".join, merges), *ADDED]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    made = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    made.normalizer = normalizers.Replace(" ", "\u2581")
    made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    made.add_special_tokens([AddedToken(one, special=True) for one in special])
    made.add_tokens([AddedToken(one, normalized=False) for one in ADDED])
    made.post_processor = processors.TemplateProcessing("$A <eos>", None, [("<eos>", 1)])
    made.save(str(folder / "tokenizer.json"))
    named = {f"{token.strip('<>')}_token": token for token in special}
    config = {"tokenizer_class": "GemmaTokenizer", "padding_side": "right", **named}
    config |= {"add_bos_token": False, "add_eos_token": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


TOKENIZERS = {
    "small-siglip": partial(write_t5, rule="identity"),
    "small-siglip2": write_gemma,
    "ViT-B-16-SigLIP": write_t5,
    "ViT-B-32-SigLIP2-256": write_gemma,
}
