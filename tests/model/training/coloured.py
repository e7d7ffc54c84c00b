"""Pairs that a tiny model learns within seconds: plain pictures in colours, and their names."""

import itertools

import numpy as np
import torch

from model.checkpoints.checkpoint import verify
from model.checkpoints.tokenizer import Tokenizer
from model.training.dual_encoder import DualEncoder
from model.training.learning.fit import trainer_of
from model.training.learning.trainable import choose
from model.training.options import TrainOptions
from model.training.pairs import Pairs

LEVELS = {"no": 0, "some": 128, "much": 255}


def coloured(pictures_each=4, side=32, seed=0):
    """Pictures of 27 colours, a little noisy; two captions each."""
    dice = np.random.default_rng(seed)
    pixels, captions, groups = [], [], []
    for names in itertools.product(LEVELS, repeat=3):
        colour = [LEVELS[name] for name in names]
        for _ in range(pictures_each):
            noise = dice.integers(-20, 21, (side, side, 3))
            pixels.append(np.clip(noise + colour, 0, 255).astype(np.uint8))
            captions.append((" ".join(names), "a " + " ".join(names)))
            groups.append("".join(names))
    return Pairs(np.stack(pixels), captions, groups)


def losses(base, folder, pairs=None, **options):
    """The losses of a training."""
    torch.set_num_threads(1)
    checkpoint, pairs = verify(base), pairs or coloured()
    settled = TrainOptions(learning_rate=1e-3, **options).settled(len(pairs.pixels), 768)
    torch.manual_seed(0)
    model = DualEncoder(checkpoint)
    choose(model, settled)
    tokenizer = Tokenizer.of_checkpoint(checkpoint)
    trainer = trainer_of(model, pairs, tokenizer, settled, folder)
    trainer.train()
    return trainer.losses
