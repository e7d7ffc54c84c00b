"""The Trainer of a model, set up. Importing this needs accelerate."""

from __future__ import annotations

import os
from pathlib import Path

from transformers import TrainingArguments
from transformers.trainer_callback import PrinterCallback

from model.checkpoints.quiet import quiet_transformers
from model.checkpoints.tokenizer import Tokenizer
from model.errors import TrainingError
from model.training.dual_encoder import DualEncoder
from model.training.learning.batches import Batches, Order, Reader, shuffled
from model.training.learning.contrastive_trainer import ContrastiveTrainer
from model.training.options import TrainOptions
from model.training.pairs import Pairs

# Radford et al. 2021, table 18: Adam's second beta and its epsilon for ViT.
BETA, EPSILON = 0.98, 1e-6
MOST_WORKERS = 8


def trainer_of(
    model: DualEncoder,
    pairs: Pairs,
    tokenizer: Tokenizer,
    options: TrainOptions,
    folder: Path,
    order: Order | None = None,
) -> ContrastiveTrainer:
    """Return a Trainer that is ready to run. Raises TrainingError: a batch cannot be divided.

    Args:
        model: its weights to train chosen.
        pairs: to learn from.
        tokenizer: of the checkpoint.
        options: settled.
        folder: where the Trainer writes its checkpoints.
        order: of rows in each epoch; None shuffles all.
    """
    size = options.batch_size or 0
    with quiet_transformers():
        arguments = _arguments(options, folder)
        processes = arguments.world_size
        if size < 2 or size % processes:
            raise TrainingError(
                f"a batch of {size} pairs cannot be trained on by {processes} processes; it needs "
                "two or more pairs, as many for each process"
            )
        arguments.per_device_train_batch_size = size // processes
        trainer = ContrastiveTrainer(
            model,
            arguments,
            Batches(
                order or shuffled(len(pairs.pixels), options.seed),
                size,
                arguments.process_index,
                processes,
            ),
            Reader(pairs, tokenizer, options.seed, options.augment),
            options.chunk_size or size,
            autocast=options.precision == "bfloat16",
        )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _arguments(options: TrainOptions, folder: Path) -> TrainingArguments:
    import torch

    cuda = torch.cuda.is_available()
    found = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=options.epochs or 0,
        learning_rate=options.learning_rate or 0.0,
        lr_scheduler_type="cosine",
        warmup_steps=options.warm_up,  # below 1 it is a share
        weight_decay=options.weight_decay or 0.0,
        adam_beta2=BETA,
        adam_epsilon=EPSILON,
        seed=options.seed,
        logging_strategy="no",
        save_strategy="no",  # `Watch` says when
        save_total_limit=2,  # the last one may be unfinished
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=min(MOST_WORKERS, os.cpu_count() or 1) if cuda else 0,
        ddp_find_unused_parameters=False,
        use_cpu=not cuda,
    )
    found._n_gpu = min(1, found.n_gpu)  # one process a card, never torch's DataParallel
    return found
