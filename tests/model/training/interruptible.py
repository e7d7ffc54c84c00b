"""A training that saves after each step, in a process of its own; prints a line a step.

python -m tests.model.training.interruptible BASE CHECKPOINTS OUTPUT
"""

import sys
from pathlib import Path

import torch

from model.training.fine_tune import fine_tune
from model.training.options import TrainOptions
from tests.model.training.coloured import coloured

OPTIONS = TrainOptions(
    learning_rate=3e-3, batch_size=36, epochs=4, patience=4, save_every_s=0, seed=7
)


def train(base, checkpoints, output, **options):
    return fine_tune(
        str(base),
        coloured(),
        coloured(1, seed=1),
        TrainOptions(**vars(OPTIONS) | {"checkpoints": checkpoints}),
        output,
        **options,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(*map(Path, sys.argv[1:]), progress=lambda step: print(step.step, flush=True))
