"""Models of public configurations with random weights, made without downloads.

The tokenizer is the built-in's: it splits our texts into some 75 % more tokens than CLIP's own.
It uses 963 ids; the token embedding has as many rows as CLIP's.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPModel
from transformers.utils.logging import disable_progress_bar

from benchmarks.gpu.plan import Box, Found, Numbers, Plan
from model.checkpoints.checkpoint import BUILTIN_FOLDER, weights_bytes

CONTEXT, MIB = 77, 2**20


@dataclass(frozen=True)
class Tower:
    """An image or text tower; fields are keys of transformers' configuration."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int


@dataclass(frozen=True)
class Shape:
    """Shape of a model. image_size, patch_size: px. rows: of the token embedding. dimension: D."""

    vision: Tower
    text: Tower
    image_size: int
    patch_size: int
    rows: int
    dimension: int


SHAPES = {
    "vit-b-32": Shape(Tower(768, 3072, 12, 12), Tower(512, 2048, 12, 8), 224, 32, 49_408, 512),
    "vit-l-14": Shape(Tower(1024, 4096, 24, 16), Tower(768, 3072, 12, 12), 224, 14, 49_408, 768),
    "tiny": Shape(Tower(32, 64, 2, 2), Tower(32, 64, 2, 2), 32, 8, 1_024, 16),
}
TOKENIZER = ("tokenizer.json", "vocab.json", "merges.txt")


def run(plan: Plan, box: Box) -> Found:
    """Make all models before anything is timed."""
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers'
    numbers: Numbers = {}
    for name in (*plan.models, plan.twin):
        start_s = time.monotonic()
        folder = checkpoint(plan, name)
        took_s = round(time.monotonic() - start_s, 2)
        numbers[name] = {"seconds": took_s, "weights_mib": weights_bytes(str(folder)) / MIB}
        box.note(numbers)
    sizes = [f"{name} {one['weights_mib']:,.0f} MiB" for name, one in numbers.items()]
    return Found(numbers, ", ".join(sizes))


def checkpoint(plan: Plan, name: str) -> Path:
    """Return the folder of a model, made if missing; a twin has another seed."""
    folder = plan.folder / name
    if not folder.is_dir():
        half_done = Path(tempfile.mkdtemp(dir=plan.folder))
        make(half_done, SHAPES[name.removesuffix("-twin")], seed=name.endswith("-twin"))
        half_done.replace(folder)
    return folder


def make(folder: Path, shape: Shape, seed: int) -> None:
    """Write weights, tokenizer and preprocessing."""
    for name in TOKENIZER:
        shutil.copyfile(BUILTIN_FOLDER / name, folder / name)
    _edit("tokenizer_config.json", folder, model_max_length=CONTEXT)
    side = {"height": shape.image_size, "width": shape.image_size}
    size = {"shortest_edge": shape.image_size}
    _edit("preprocessor_config.json", folder, size=size, crop_size=side)
    torch.manual_seed(seed)
    CLIPModel(_config(shape)).save_pretrained(folder)


def _edit(name: str, folder: Path, **changes: object) -> None:
    """Copy one of the built-in's files with some values changed."""
    values = json.loads((BUILTIN_FOLDER / name).read_text()) | changes
    (folder / name).write_text(json.dumps(values))


def _config(shape: Shape) -> CLIPConfig:
    tokens = json.loads((BUILTIN_FOLDER / "config.json").read_text())["text_config"]
    ids = {key: tokens[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    own = {"vocab_size": shape.rows, "max_position_embeddings": CONTEXT}
    square = {"image_size": shape.image_size, "patch_size": shape.patch_size}
    return CLIPConfig(
        text_config=vars(shape.text) | own | ids,
        vision_config=vars(shape.vision) | square,
        projection_dim=shape.dimension,
    )
