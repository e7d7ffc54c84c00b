"""Checkpoints to test with: random weights in transformers' format, small or full-size."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from sentencepiece import SentencePieceTrainer
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    SiglipConfig,
    SiglipModel,
)

from model.backends.towers.convnext import ConvNextShape, ConvNextTower
from model.backends.towers.resnet import ResNetShape, ResNetTower
from model.synthetic.thumbnails import caption_of

# OpenAI's vocabulary, where it is at hand; nothing depends on it.
OPENAI_TOKENIZER = Path(__file__).parents[2] / "shared" / "data" / "clip-tokenizer"

# The public configurations of OpenAI's models: (vision, text, projection).
SIZES = {
    "vit-b-32": ((768, 3072, 12, 12, 224, 32), (512, 2048, 12, 8), 512),
    "vit-b-16": ((768, 3072, 12, 12, 224, 16), (512, 2048, 12, 8), 512),
    "vit-l-14": ((1024, 4096, 24, 16, 224, 14), (768, 3072, 12, 12), 768),
    "small": ((32, 64, 2, 2, 32, 8), (32, 64, 2, 2), 24),
    "shallow": ((32, 64, 1, 2, 32, 8), (32, 64, 1, 2), 24),
    "no blocks": ((32, 64, 0, 2, 32, 8), (32, 64, 0, 2), 24),
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


# The public configurations of SigLIP: (vision, text, vocabulary); 64 tokens of context.
SIGLIP_SIZES = {
    "siglip-base": ((768, 3072, 12, 12, 224, 16), (768, 3072, 12, 12), 32_000),
    "siglip2-base": ((768, 3072, 12, 12, 224, 16), (768, 3072, 12, 12), 256_000),
    "siglip": ((32, 64, 2, 2, 32, 8), (32, 64, 2, 2), 1_000),
    "siglip2": ((32, 64, 2, 2, 32, 8), (32, 64, 2, 2), 1_000),
    # As so400m-patch14-384: px at the right and at the bottom fill no patch.
    "siglip-spare": ((32, 64, 2, 2, 37, 8), (32, 64, 2, 2), 1_000),
}
SIGLIP_CONTEXT = 64


def make_siglip(folder: Path, size: str = "siglip", seed: int = 0) -> Path:
    """Write a random-weight SigLIP, with a tokenizer of the construction of version 1 or 2."""
    folder.mkdir(parents=True, exist_ok=True)
    vision, text, vocabulary = SIGLIP_SIZES[size]
    make_tokenizer = _make_gemma if size.startswith("siglip2") else _make_sentencepiece
    ids = make_tokenizer(folder)
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    torch.manual_seed(seed)
    config = SiglipConfig(
        text_config=dict(zip(names, text, strict=True))
        | {"vocab_size": vocabulary, "max_position_embeddings": SIGLIP_CONTEXT}
        | {"projection_size": vision[0], **ids},
        vision_config=dict(zip((*names, "image_size", "patch_size"), vision, strict=True)),
    )
    SiglipModel(config).save_pretrained(folder)
    processor = {
        "image_processor_type": "SiglipImageProcessor",
        "size": {"height": vision[4], "width": vision[4]},
        "resample": 3,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def _make_sentencepiece(folder: Path) -> dict[str, int]:
    """Write pieces as SigLIP's, with the special tokens where SigLIP has them."""
    train_pieces(folder / "spiece.model")
    config = {"tokenizer_class": "SiglipTokenizer", "model_max_length": SIGLIP_CONTEXT}
    config |= {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"do_lower_case": True}))
    return {"eos_token_id": 1, "pad_token_id": 1, "bos_token_id": 1}


def train_pieces(path: Path, **options: Any) -> None:
    """Write a model of sentencepiece, trained on captions. options: more of its trainer's."""
    captions = [caption_of(seed) for seed in range(200)]
    with path.open("wb") as file:
        SentencePieceTrainer.train(
            sentence_iterator=iter(captions),
            model_writer=file,
            vocab_size=300,
            character_coverage=1.0,
            unk_id=2,
            eos_id=1,
            pad_id=0,
            bos_id=-1,
            hard_vocab_limit=False,
            minloglevel=2,
            **options,
        )


def _make_gemma(folder: Path) -> dict[str, int]:
    """Bytes and a few merges of Gemma's construction, in lower case, ended by <eos>."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", *letters]
    merges = [("l", "o"), ("lo", "g"), ("i", "n")]
    tokens += ["".join(pair) for pair in merges]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Replace(" ", "\u2581")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.add_special_tokens([AddedToken(one, special=True) for one in special])
    tokenizer.post_processor = processors.TemplateProcessing("$A <eos>", None, [("<eos>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {f"{token.strip('<>')}_token": token for token in special}
    config = {"tokenizer_class": "GemmaTokenizer", "model_max_length": SIGLIP_CONTEXT} | named
    config |= {"add_bos_token": False, "add_eos_token": True, "padding_side": "right"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return {"eos_token_id": 1, "pad_token_id": 0, "bos_token_id": 2}


# OpenAI's configurations of ResNets: (layers, width, side, dimension), text.
RESNET_SIZES = {
    "rn50": (ResNetShape((3, 4, 6, 3), 64, 224, 1024), (512, 2048, 12, 8)),
    "rn50x4": (ResNetShape((4, 6, 10, 6), 80, 288, 640), (640, 2560, 12, 10)),
    "resnet": (ResNetShape((1, 1, 2, 1), 8, 64, 24), (32, 64, 2, 2)),
}


def make_resnet(folder: Path, size: str = "resnet", seed: int = 0) -> Path:
    """Write a random-weight CLIP with a ResNet; its normalisations have seen something."""
    shape, text = RESNET_SIZES[size]
    torch.manual_seed(seed)
    described = {"model_type": "clip_resnet"}
    weights = resnet_weights(shape)
    return _beside_clips_text(folder, weights, text, described, shape.image_size, shape.dimension)


# open_clip's configurations of ConvNeXts: image tower, side, text.
CONVNEXT_SIZES = {
    "convnext-base-w": (
        ConvNextShape((3, 3, 27, 3), (128, 256, 512, 1024), 0, False, 640, 1e-6),
        256, (640, 2560, 12, 10),
    ),
    "convnext": (
        ConvNextShape((1, 1, 2, 1), (8, 16, 24, 32), 0, False, 24, 1e-6), 64, (32, 64, 2, 2),
    ),
    "convnext-mlp": (
        ConvNextShape((1, 2, 1, 1), (8, 12, 16, 24), 40, True, 24, 1e-2), 90, (32, 64, 2, 2),
    ),
}  # fmt: skip


def make_convnext(folder: Path, size: str = "convnext", seed: int = 0) -> Path:
    """Write a random-weight CLIP with a ConvNeXt."""
    shape, side, text = CONVNEXT_SIZES[size]
    torch.manual_seed(seed)
    described = {
        "model_type": "clip_convnext",
        "vision_config": {"layer_norm_eps": shape.epsilon, "image_size": side},
    }
    weights = convnext_weights(shape)
    return _beside_clips_text(folder, weights, text, described, side, shape.dimension)


def _beside_clips_text(
    folder: Path,
    image: dict[str, torch.Tensor],
    text: tuple[int, ...],
    described: dict[str, Any],
    side: int,
    dimension: int,
) -> Path:
    """Write an image tower and a text tower of CLIP. described: the rest of config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    _make_tokenizer(folder, side, 77)
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    end = vocabulary["<|endoftext|>"]
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    sizes: dict[str, Any] = dict(zip(names, text, strict=True))
    config = CLIPTextConfig(
        **sizes,
        vocab_size=len(vocabulary),
        projection_dim=dimension,
        bos_token_id=vocabulary["<|startoftext|>"],
        eos_token_id=end,
        pad_token_id=end,
    )
    weights = image | CLIPTextModelWithProjection(config).state_dict()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(described | {"text_config": config.to_dict()}))
    return folder


def convnext_weights(shape: ConvNextShape) -> dict[str, torch.Tensor]:
    """Random weights of a ConvNeXt, none of which is without effect."""
    weights = {f"visual.{name}": one for name, one in ConvNextTower(shape).state_dict().items()}
    for name, one in weights.items():
        if name.endswith("gamma"):
            one.uniform_(0.2, 0.5)
        elif one.ndim == 1:
            one.add_(torch.randn_like(one) * 0.1)
        elif one.ndim == 4:
            torch.nn.init.kaiming_normal_(one)
    return weights


def resnet_weights(shape: ResNetShape) -> dict[str, torch.Tensor]:
    """Random weights of a ResNet that keep what tells pictures apart."""
    tower = ResNetTower(shape, (0, 0, 0), (1, 1, 1), 1.0)
    weights = {f"visual.{name}": one for name, one in tower.state_dict().items()}
    for name, one in weights.items():
        if name.endswith((".running_mean", "bn3.bias", "positional_embedding")):
            one.normal_(std=0.1)
        elif name.endswith(".running_var"):
            one.uniform_(0.5, 2.0)
        elif one.ndim == 4:
            torch.nn.init.kaiming_normal_(one)
    return weights
