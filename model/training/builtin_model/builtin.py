"""Training of the built-in model: a small CLIP, from random weights, on generated thumbnails.

    python -m model.training.builtin_model.builtin --output /tmp/checkpoint --seed 0

An untrained checkpoint is fine-tuned as any other: `model.training.fine_tune`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress, TimeElapsedColumn
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from model.checkpoints.quiet import quiet_transformers
from model.encoder import UInt8Array
from model.errors import TrainingError
from model.training.artifact import check_output
from model.training.builtin_model.corpus import describe, learnable, pairs_of, render, rounds
from model.training.builtin_model.retrieval import EVALUATION_SEED
from model.training.builtin_model.train_tokenizer import save_tokenizer, train_tokenizer
from model.training.fine_tune import fine_tune
from model.training.options import TrainOptions
from model.training.pairs import Pairs
from model.training.report import Report, Step

IMAGE_SIZE, PATCH_SIZE, DIMENSION, CONTEXT_LENGTH = 128, 16, 128, 32
# Mean and std of CLIP's published preprocessing, RGB of pixels over 255.
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
VOCABULARY_SIZE, CAPTIONS_A_COMBINATION = 1500, 20
# Pictures, at most, to choose the best epoch by: of combinations that are trained, other drawings.
HELD_OUT = 240
# bfloat16 halves the time of a step where the processor has it.
OPTIONS = TrainOptions(
    learning_rate=1e-3, warm_up=0.08, weight_decay=0.1, batch_size=256, precision="bfloat16"
)


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


def train(
    pairs: Pairs,
    combinations: int,
    held_out: Pairs,
    options: TrainOptions,
    output: Path,
    progress: Callable[[Step], None] = lambda _: None,
) -> Report:
    """Train from random weights and write the artifact. Raises as `fine_tune` does.

    pairs: as `pairs_of` returns them, of so many combinations.
    """
    order = rounds(
        len(pairs.pixels) // combinations, combinations, options.batch_size or 1, options.seed
    )
    with tempfile.TemporaryDirectory() as name:
        save_untrained(Path(name), options.seed)
        return fine_tune(name, pairs, held_out, options, output, progress=progress, order=order)


def save_untrained(folder: Path, seed: int) -> None:
    """Write a checkpoint of random weights in transformers' format, with its tokenizer."""
    tokenizer = caption_tokenizer(seed)
    torch.manual_seed(seed)
    model = create_model(len(tokenizer))
    with quiet_transformers():
        model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    _save_preprocessing(IMAGE_SIZE, folder)


def caption_tokenizer(seed: int) -> CLIPTokenizer:
    """Train a tokenizer on captions of every combination that training may see."""
    rng = random.Random(seed)
    texts = (describe(each, rng) for each in learnable() for _ in range(CAPTIONS_A_COMBINATION))
    return train_tokenizer(texts, VOCABULARY_SIZE, CONTEXT_LENGTH)


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Render, train and save."""
    given = _parser().parse_args(arguments)
    options = replace(OPTIONS, seed=given.seed, epochs=given.epochs, patience=given.epochs)
    columns = (*Progress.get_default_columns(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        pixels = _render(given.renditions + 1, given.seed, progress)
        task = progress.add_task("training", total=None)

        def tell(step: Step) -> None:
            text = f"training, loss {step.loss:.3f}"
            progress.update(task, completed=step.step, total=step.steps, description=text)

        attributes = learnable()
        some = slice(None, None, -(-len(attributes) // HELD_OUT))
        held_out = pairs_of(attributes[some], pixels[-1:, some], given.seed)
        pairs = pairs_of(attributes, pixels[:-1], given.seed)
        report = train(pairs, len(attributes), held_out, options, given.output, tell)
        progress.console.print(report.after["held_out"])


def _render(renditions: int, seed: int, progress: Progress) -> UInt8Array:
    """Draw all combinations, some times each. Returns uint8 [R, C, S, S, 3]."""
    # Far below the evaluation's seeds, and different for every training seed.
    first = seed * renditions % (EVALUATION_SEED // 2)
    drawn = render(learnable(), renditions, IMAGE_SIZE, first, os.cpu_count() or 1)
    return np.stack(list(progress.track(drawn, renditions, description="rendering")))


def _writable(given: str) -> Path:
    """Return the folder. Checks before minutes of training that it can be written."""
    try:
        check_output(Path(given))
    except TrainingError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc
    except OSError as exc:
        raise argparse.ArgumentTypeError(f"cannot write to {given}: {exc.strerror}") from exc
    return Path(given)


def _parser() -> argparse.ArgumentParser:
    program = f"python -m {__package__}.builtin"
    parser = argparse.ArgumentParser(
        prog=program,
        description="Train a small CLIP on generated interface thumbnails.",
        epilog=f"example: {program} --output /tmp/checkpoint",
    )
    parser.add_argument("--output", type=_writable, required=True, help="empty folder to write")
    parser.add_argument("--seed", type=int, default=0, help="seed of all randomness (0)")
    parser.add_argument("--epochs", type=int, default=15, help="times that all is seen (15)")
    parser.add_argument(
        "--renditions", type=int, default=20, help="pictures of each combination (20)"
    )
    return parser


if __name__ == "__main__":
    main()
