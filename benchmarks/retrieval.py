"""Recall of the built-in model on generated thumbnails, through `sweetspot embed`.

Generates 240 thumbnails outside the training set (72 of them with combinations of attributes that
are not in it) as JPEG of quality 60 at 400-1600 px, and embeds them and their captions.

python -m benchmarks.retrieval
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.record import record
from model.encoder import Float32Array
from model.training.builtin_model.retrieval import (
    EvaluationSet,
    evaluation_set,
    mean_colour_similarity,
    recall_at,
    recalls,
)

SEEDS = (0, 1, 2)
ROOT = Path(__file__).parents[1]
COLUMNS = ("text to image @1", "text to image @5", "image to text @1", "image to text @5")


def embed(evaluation: EvaluationSet) -> tuple[Float32Array, Float32Array]:
    """Embed images and captions by the command line. Returns two float32 [N, D]."""
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{index:03}.jpg" for index in range(len(evaluation.images))]
        for path, data in zip(paths, evaluation.images, strict=True):
            path.write_bytes(data)
        texts = [part for caption in evaluation.captions for part in ("--text", caption)]
        output = Path(folder) / "embeddings.npy"
        command = [sys.executable, "-m", "sweetspot", "embed", *map(str, paths), *texts]
        command += ["--model", "builtin", "--format", "npy", "-o", str(output)]
        subprocess.run(command, check=True, cwd=ROOT)
        matrix: Float32Array = np.load(output)
    return matrix[: len(paths)], matrix[len(paths) :]


def main() -> None:
    table = Table("set", "queries", *COLUMNS)
    rows: list[dict[str, Any]] = []
    for seed in SEEDS:
        evaluation = evaluation_set(seed)
        images, texts = embed(evaluation)
        colour = mean_colour_similarity(evaluation)
        shares = {
            "all 240": list(vars(recalls(texts @ images.T)).values()),
            "72 held out": list(vars(recalls(texts @ images.T, evaluation.held_out)).values()),
            "mean colour": [recall_at(k, side) for side in (colour, colour.T) for k in (1, 5)],
        }
        for name, values in shares.items():
            table.add_row(str(seed), name, *(f"{value:.3f}" for value in values))
            named = dict(zip(COLUMNS, (round(value, 4) for value in values), strict=True))
            rows.append({"seed": seed, "queries": name} | named)
    console = Console()
    console.print(table)
    console.print(record("retrieval", rows))


if __name__ == "__main__":
    main()
