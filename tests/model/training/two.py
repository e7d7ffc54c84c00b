"""Two processes of one fine-tuning, forked once torch is imported: each writes RANK.json.

python -m tests.model.training.two PORT BASE ARTIFACT REPORTS
"""

import json
import multiprocessing
import os
import sys
from pathlib import Path

from model.training.fine_tune import fine_tune
from model.training.options import TrainOptions
from tests.model.training.coloured import coloured

# 5 batches of 81 pairs an epoch.
OPTIONS = TrainOptions(learning_rate=1e-3, batch_size=16, chunk_size=5, epochs=4, keep_worse=True)


def train(base, artifact):
    return fine_tune(str(base), coloured(pictures_each=3), coloured(1, seed=1), OPTIONS, artifact)


def one_of_two(rank, port, base, artifact, reports):
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
    }  # fmt: skip
    (reports / f"{rank}.json").write_text(json.dumps(train(base, artifact).as_dict()))


def main(port, *paths):
    context = multiprocessing.get_context("fork")
    two = [context.Process(target=one_of_two, args=(rank, port, *paths)) for rank in range(2)]
    for one in two:
        one.start()
    for one in two:
        one.join()
    return any(one.exitcode for one in two)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(Path, sys.argv[2:])))
