"""One process of a fine-tuning by several: writes its report.

python -m tests.model.training.one_of_two BASE ARTIFACT REPORT
"""

import json
import sys
from pathlib import Path

from model.training.fine_tune import fine_tune
from model.training.options import TrainOptions
from tests.model.training.coloured import coloured

# 5 batches of 81 pairs an epoch.
OPTIONS = TrainOptions(learning_rate=1e-3, batch_size=16, chunk_size=5, epochs=4, keep_worse=True)


def train(base, artifact):
    return fine_tune(str(base), coloured(pictures_each=3), coloured(1, seed=1), OPTIONS, artifact)


if __name__ == "__main__":
    base, artifact, report = map(Path, sys.argv[1:])
    report.write_text(json.dumps(train(base, artifact).as_dict()))
