"""Train ViT-B/32 of random weights on 256 pairs in one step; print the most memory taken, GiB.

python -m tests.model.training.of_full_size FOLDER
"""

import resource
import sys
from pathlib import Path

import numpy as np

from model.training.fine_tune import fine_tune
from model.training.options import TrainOptions
from model.training.pairs import Pairs
from tests.checkpoints import make_checkpoint

PAIRS = 256


def pairs(count):
    """Return noise and texts that fill the tower."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)
    texts = [(f"screen {index} " + 70 * "a ",) for index in range(count)]
    return Pairs(pixels, texts, [str(index) for index in range(count)])


def main():
    folder = Path(sys.argv[1])
    make_checkpoint(folder / "base", "vit-b-32")
    options = TrainOptions(batch_size=PAIRS, epochs=1, keep_worse=True, interpolate=0.5)
    fine_tune(str(folder / "base"), pairs(PAIRS), pairs(8), options, folder / "tuned")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


if __name__ == "__main__":
    main()
