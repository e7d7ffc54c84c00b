"""Contrastive training of a small CLIP on generated thumbnails.

    python -m model.training.train --output /tmp/checkpoint --seed 0

After Radford et al., "Learning Transferable Visual Models From Natural Language Supervision"
(2021): N pairs give an N x N matrix of similarities, whose diagonal holds the right pairs. The loss
is the mean of two cross-entropies, along rows and along columns. The temperature is learned.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress, TimeElapsedColumn
from torch.nn.functional import cross_entropy
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from model.encoder import UInt8Array
from model.files import check_folder, whole_files
from model.training.corpus import Batch, Corpus, describe, learnable, render
from model.training.retrieval import EVALUATION_SEED
from model.training.train_tokenizer import save_tokenizer, train_tokenizer

IMAGE_SIZE, PATCH_SIZE, DIMENSION, CONTEXT_LENGTH = 128, 16, 128, 32
# Mean and std of CLIP's published preprocessing, RGB of pixels over 255.
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
# Radford et al. 2021, section 2.5: the scale of the logits is kept at or below 100.
MAX_LOGIT_SCALE = math.log(100)
# The same, table 18: Adam's betas and epsilon for ViT.
BETAS, EPSILON = (0.9, 0.98), 1e-6
VOCABULARY_SIZE, CAPTIONS_A_COMBINATION = 1500, 20


@dataclass(frozen=True)
class Schedule:
    """Length and learning rate of the training: linear warm-up, then a cosine down to zero."""

    steps: int
    batch_size: int = 256
    learning_rate: float = 1e-3
    warm_up: int = 100
    weight_decay: float = 0.1

    def rate(self, step: int) -> float:
        """Return the share, 0..1, of the learning rate at a step."""
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def contrastive_loss(
    images: torch.Tensor, texts: torch.Tensor, logit_scale: torch.Tensor
) -> torch.Tensor:
    """Return the symmetric cross-entropy over all pairings, a scalar.

    images, texts: float [N, D], unit norm; row i of both is a pair. logit_scale: -log temperature.
    """
    logits = logit_scale.exp() * images @ texts.T  # [N, N]
    right = torch.arange(len(logits), device=logits.device)  # [N]
    return (cross_entropy(logits, right) + cross_entropy(logits.T, right)) / 2


def fit(
    model: CLIPModel, tokenizer: CLIPTokenizer, batches: Iterator[Batch], schedule: Schedule
) -> Iterator[float]:
    """Train in place and yield the loss of each step. Weights may be new or from a checkpoint."""
    optimizer = _optimizer(model, schedule)
    pace = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule.rate)
    model.train()
    for pixels, texts in islice(batches, schedule.steps):
        loss = _loss(model, tokenizer, pixels, texts)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        pace.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        yield loss.item()
    model.eval()  # type: ignore[no-untyped-call]


def create_model(vocabulary_size: int) -> CLIPModel:
    """Create an untrained small CLIP. Its last two token ids are the start and end of a text."""
    end = vocabulary_size - 1
    text = {
        "vocab_size": vocabulary_size,
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": CONTEXT_LENGTH,
        "bos_token_id": end - 1,
        "eos_token_id": end,
        "pad_token_id": end,
        "projection_dim": DIMENSION,
    }
    vision = {
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH_SIZE,
        "projection_dim": DIMENSION,
    }
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=DIMENSION))


def save(model: CLIPModel, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write a checkpoint as float32 in transformers' format, as `model.checkpoints` reads it.

    Files appear in the folder only when all are complete.
    """
    with whole_files(folder) as unfinished:
        model.save_pretrained(unfinished)
        save_tokenizer(tokenizer, unfinished)
        _save_preprocessing(model.vision_model.embeddings.image_size, unfinished)
        for path in unfinished.iterdir():
            path.chmod(0o644)  # safetensors writes 0600, and a container may serve as another user


def normalize(pixels: UInt8Array) -> torch.Tensor:
    """uint8 [N, S, S, 3] RGB to float32 [N, 3, S, S], (pixels / 255 - mean) / std."""
    planes = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return (planes - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def _save_preprocessing(size: int, folder: Path) -> None:
    preprocessing = {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": size},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": size, "width": size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": MEAN,
        "image_std": STD,
    }
    text = json.dumps(preprocessing, indent=2) + "\n"
    (folder / "preprocessor_config.json").write_text(text, encoding="utf-8")


def _loss(
    model: CLIPModel, tokenizer: CLIPTokenizer, pixels: UInt8Array, texts: list[str]
) -> torch.Tensor:
    tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt").to(model.device)
    # bfloat16 halves the time of a step where the processor has it.
    with torch.autocast(model.device.type, torch.bfloat16):
        output = model(**tokens, pixel_values=normalize(pixels).to(model.device))
    images, words = output.image_embeds.float(), output.text_embeds.float()
    return contrastive_loss(images, words, model.logit_scale)


def _optimizer(model: CLIPModel, schedule: Schedule) -> torch.optim.Optimizer:
    """AdamW; gains, biases and the temperature do not decay, as in the paper."""
    matrices = [each for each in model.parameters() if each.ndim >= 2]
    others = [each for each in model.parameters() if each.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": schedule.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, schedule.learning_rate, betas=BETAS, eps=EPSILON)


def caption_tokenizer(seed: int) -> CLIPTokenizer:
    """Train a tokenizer on captions of every combination that training may see."""
    rng = random.Random(seed)
    texts = (describe(each, rng) for each in learnable() for _ in range(CAPTIONS_A_COMBINATION))
    return train_tokenizer(texts, VOCABULARY_SIZE, CONTEXT_LENGTH)


def main(arguments: Sequence[str] | None = None) -> None:
    """Render, train and save."""
    options = _parser().parse_args(arguments)
    torch.manual_seed(options.seed)
    tokenizer = caption_tokenizer(options.seed)
    model = create_model(len(tokenizer))
    schedule = Schedule(options.steps, options.batch_size)
    columns = (*Progress.get_default_columns(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        corpus = _render(options, progress)
        task = progress.add_task("training", total=schedule.steps)
        for loss in fit(
            model, tokenizer, corpus.batches(options.batch_size, options.seed), schedule
        ):
            progress.update(task, advance=1, description=f"training, loss {loss:.3f}")
    save(model, tokenizer, options.output)


def _render(options: argparse.Namespace, progress: Progress) -> Corpus:
    attributes = learnable()
    # Far below the evaluation's seeds, and different for every training seed.
    first = options.seed * options.renditions % (EVALUATION_SEED // 2)
    rounds = render(attributes, options.renditions, IMAGE_SIZE, first, os.cpu_count() or 1)
    shown = progress.track(rounds, options.renditions, description="rendering")
    return Corpus(attributes, np.stack(list(shown)))


def _writable(given: str) -> Path:
    """Return the folder. Checks before minutes of training that it can be written."""
    try:
        check_folder(given)
    except OSError as exc:
        raise argparse.ArgumentTypeError(f"cannot write to {given}: {exc.strerror}") from exc
    return Path(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.training.train",
        description="Train a small CLIP on generated interface thumbnails.",
        epilog="example: python -m model.training.train --output /tmp/checkpoint --seed 0",
    )
    parser.add_argument("--output", type=_writable, required=True, help="folder to write")
    parser.add_argument("--seed", type=int, default=0, help="seed of all randomness (0)")
    parser.add_argument("--steps", type=int, default=1200, help="batches to learn from (1200)")
    parser.add_argument("--batch-size", type=int, default=256, help="pairs a batch (256)")
    parser.add_argument(
        "--renditions", type=int, default=20, help="pictures of each combination (20)"
    )
    return parser


if __name__ == "__main__":
    main()
