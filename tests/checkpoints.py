"""Checkpoints to test with: random weights in transformers' format, small or full-size."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPModel

# OpenAI's vocabulary, where it is at hand; nothing depends on it.
OPENAI_TOKENIZER = Path(__file__).parents[2] / "shared" / "data" / "clip-tokenizer"

# The public configurations of OpenAI's models: (vision, text, projection).
SIZES = {
    "vit-b-32": ((768, 3072, 12, 12, 224, 32), (512, 2048, 12, 8), 512),
    "vit-b-16": ((768, 3072, 12, 12, 224, 16), (512, 2048, 12, 8), 512),
    "vit-l-14": ((1024, 4096, 24, 16, 224, 14), (768, 3072, 12, 12), 768),
    "small": ((32, 64, 2, 2, 32, 8), (32, 64, 2, 2), 24),
    "shallow": ((32, 64, 1, 2, 32, 8), (32, 64, 1, 2), 24),
}


def make_checkpoint(
    folder: Path, size: str = "small", context_length: int = 77, seed: int = 0, **text_options: Any
) -> Path:
    """Write a random-weight CLIP of a size; its text tower may be given other options."""
    folder.mkdir(parents=True, exist_ok=True)
    vision, text, projection = SIZES[size]
    if size.startswith("vit") and OPENAI_TOKENIZER.is_dir():
        for path in OPENAI_TOKENIZER.glob("*.*"):
            shutil.copyfile(path, folder / path.name)
    else:
        _make_tokenizer(folder, vision[4], context_length)
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    end = vocabulary["<|endoftext|>"]
    text_config = dict(
        zip(
            ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
            text,
            strict=True,
        ),
        vocab_size=len(vocabulary),
        max_position_embeddings=context_length,
        bos_token_id=vocabulary["<|startoftext|>"],
        eos_token_id=end,
        pad_token_id=end,
    )
    vision_keys = (
        "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "image_size", "patch_size",
    )  # fmt: skip
    torch.manual_seed(seed)
    config = CLIPConfig(
        text_config=text_config | text_options,
        vision_config=dict(zip(vision_keys, vision, strict=True)),
        projection_dim=projection,
    )
    CLIPModel(config).save_pretrained(folder)
    return folder


def _make_tokenizer(folder, image_size, context_length):
    """A byte-level tokenizer of CLIP's construction with few merges."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("l", "o"), ("g", "i"), ("gi", "n</w>"), ("lo", "gin</w>")]
    tokens = [*symbols, *(symbol + "</w>" for symbol in symbols)]
    tokens += ["".join(pair) for pair in merges] + ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, end_of_word_suffix="</w>", unk_token="<|endoftext|>")
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    start, end = "<|startoftext|>", "<|endoftext|>"
    tokenizer.add_special_tokens([AddedToken(start, special=True), AddedToken(end, special=True)])
    tokenizer.post_processor = processors.RobertaProcessing(
        (end, vocabulary[end]), (start, vocabulary[start]), trim_offsets=False,
        add_prefix_space=False,
    )  # fmt: skip
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"bos_token": start, "eos_token": end, "pad_token": end, "unk_token": end}
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": context_length} | special
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": image_size},
        "crop_size": {"height": image_size, "width": image_size},
        "resample": 3,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
