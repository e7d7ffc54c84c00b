"""What a fine-tuning does, and what it does by default."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

# A full fine-tuning of ViT-B, whose image tower is 768 wide; Adam's best rate falls with the width
# (Yang et al. 2022, https://arxiv.org/abs/2203.03466).
LEARNING_RATE, WIDTH = 2e-5, 768
# LoRA's best rate is some ten times the best of all weights
# (Schulman et al. 2025, https://thinkingmachines.ai/blog/lora).
LORA_FACTOR = 10
SMALLEST_BATCH, LARGEST_BATCH = 32, 4096
FEWEST_EPOCHS, MOST_EPOCHS = 3, 32
# Pairs that are embedded at once in a tower of WIDTH or more; narrower ones take more. A step of
# ViT-B/32 took 5.1 GiB with 32 and 7.1 with 64; Adam and gradients are three times the weights.
CHUNK, LARGEST_CHUNK = 32, 512


@dataclass(frozen=True)
class TrainOptions:
    """What changes, how, and what is kept. None: by the number of pairs and the base.

    what: the towers that change. lora: the rank of the branches that change instead of the
    weights. last_blocks: of each tower that change; the others stay.
    learning_rate: the highest; rises during the warm-up, then falls to zero as a cosine.
    warm_up: share of all steps, 0..1. weight_decay: of matrices.
    epochs: at most. patience: epochs without a better recall until it ends early.
    batch_size: pairs whose captions compete, of all processes. chunk_size: pairs of it that are
    embedded at once; more memory, and faster from the batch size on.
    precision: of the training; what is compared and written is float32.
    augment: shift pictures by a few px. interpolate: share, 0..1, of the tuned weights, the rest
    are the base's. sweep: also tell what shares from 0 to 1 give.
    keep_worse: write an artifact even if it finds less than the base.
    checkpoints: a folder, seen by all processes, from which an interrupted run goes on.
    save_every_s: how often one is written, besides after each epoch.
    memory_bytes: of the machine that this process may take, None if unknown; on a CPU a default
    chunk is no larger than fits.
    """

    what: Literal["all", "image", "text"] = "all"
    lora: int | None = None
    last_blocks: int | None = None
    learning_rate: float | None = None
    warm_up: float = 0.1
    weight_decay: float | None = None
    epochs: int | None = None
    patience: int = 3
    batch_size: int | None = None
    chunk_size: int | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    augment: bool = True
    seed: int = 0
    interpolate: float = 1.0
    sweep: bool = False
    keep_worse: bool = False
    checkpoints: Path | None = None
    save_every_s: float = 300.0
    memory_bytes: int | None = None

    def settled(self, pairs: int, width: int, fitting: int = LARGEST_CHUNK) -> TrainOptions:
        """Return the options with every default filled in.

        width: of the image tower. fitting: pairs that can be embedded at once.
        """
        rate = LEARNING_RATE * WIDTH / width * (LORA_FACTOR if self.lora else 1)
        chunk = min(fitting, LARGEST_CHUNK, CHUNK * max(1, round((WIDTH / width) ** 2)))
        return replace(
            self,
            learning_rate=rate if self.learning_rate is None else self.learning_rate,
            weight_decay=(0.0 if self.lora else 0.1)
            if self.weight_decay is None
            else self.weight_decay,
            epochs=self.epochs or epochs_for(pairs),
            batch_size=min(pairs, self.batch_size or batch_size_for(pairs)),
            chunk_size=self.chunk_size or chunk,
        )


def batch_size_for(pairs: int) -> int:
    """Return a power of two, 32 to 4096: near 4 sqrt(pairs), so 128 for 1,000 pairs."""
    power: int = 2 ** round(math.log2(4 * math.sqrt(max(1, pairs))))
    return max(SMALLEST_BATCH, min(LARGEST_BATCH, power))


def epochs_for(pairs: int) -> int:
    """Return 32 for 1,000 pairs, 10 for 10,000, 3 from 100,000 on: hundreds of steps each."""
    wanted = round(MOST_EPOCHS * math.sqrt(1000 / max(1, pairs)))
    return max(FEWEST_EPOCHS, min(MOST_EPOCHS, wanted))
