"""`sweetspot bulk` beside scripts of Ray Data and Daft, over the same URLs in one run.

    python -m benchmarks.bulk [--rows 1000] [--rounds 3]     some 15 minutes on two cores

All use one ViT-B/32 with random weights: ours by its int8 artifact with a profile, the scripts by
transformers in float32, as the documentation of their libraries does it. Each command runs whole,
and its time is that of the whole process, loading the model included. The rounds are shuffled;
ratios are taken within a round. Each output is compared with transformers' embeddings.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
from rich.console import Console
from rich.table import Table

from benchmarks.containers.check import reference
from benchmarks.containers.fleet import CONTAINERS
from benchmarks.containers.others import FLASK
from benchmarks.containers.prepare import environment, model_of
from benchmarks.containers.spread import spread
from benchmarks.record import record
from serve.benchmark.endpoint_load.thumbnails import served

LATENCY_MS = 20.0
CHECKED = 8
TIMEOUT_S = 600
FOLDER = Path(__file__).parent
OURS = "bulk, int8"


@dataclass(frozen=True)
class Contender:
    """A job: its command line for a file of URLs and an output, and its least cosine."""

    command: Callable[[Path, Path], Sequence[str]]
    min_cosine: float


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rows", type=int, default=1000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    checkpoint = model_of(FLASK, tune=False)
    int8 = model_of(CONTAINERS["sweetspot-int8"], tune=True)
    contenders = _contenders(checkpoint, int8)
    chosen = random.Random(asked.seed)
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    cosines: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, served(asked.rows, LATENCY_MS) as urls:
        wanted = reference(checkpoint, urls[:CHECKED])
        listed = Path(folder) / "urls.txt"
        listed.write_text("\n".join(urls))
        for _ in range(asked.rounds):
            for name in chosen.sample([*contenders], len(contenders)):
                output = Path(folder) / "output"
                rates[name].append(_rate(contenders[name], listed, output, asked.rows))
                cosines[name] = _check(name, contenders[name], output, urls, wanted)
                shutil.rmtree(output)
                print(f"{name}: {rates[name][-1]:.1f} images/s", flush=True)
    result = {
        "plan": vars(asked) | {"latency_ms": LATENCY_MS},
        "images_s": {name: round(statistics.median(found), 2) for name, found in rates.items()},
        "rounds": {name: [round(one, 2) for one in found] for name, found in rates.items()},
        "times": {
            name: str(spread([a / b for a, b in zip(rates[OURS], rates[name], strict=True)]))
            for name in contenders
        },
        "cosines": {name: round(one, 6) for name, one in cosines.items()},
    }
    _show(result)
    Console().print(str(record("bulk", result)))


def _contenders(checkpoint: Path, int8: Path) -> dict[str, Contender]:
    python = environment("bulk_scripts")

    def ours(urls: Path, output: Path) -> Sequence[str]:
        command = [sys.executable, "-m", "sweetspot", "bulk", str(urls), "-o", str(output)]
        return [*command, "--model", str(int8), "--allow-host", "127.0.0.1"]

    def script(name: str) -> Callable[[Path, Path], Sequence[str]]:
        command = [str(python), str(FOLDER / name), str(checkpoint)]
        return lambda urls, output: [*command, str(urls), str(output)]

    return {
        OURS: Contender(ours, 0.98),
        "Ray Data script": Contender(script("ray_script.py"), 0.999),
        "Daft script": Contender(script("daft_script.py"), 0.999),
    }


def _rate(contender: Contender, urls: Path, output: Path, rows: int) -> float:
    """Run a job. Returns images a second. Raises SubprocessError: it fails or hangs."""
    start_s = time.perf_counter()
    with (urls.parent / "log.txt").open("wb") as log:
        subprocess.run(
            contender.command(urls, output),
            check=True, stdout=log, stderr=subprocess.STDOUT, timeout=TIMEOUT_S,
        )  # fmt: skip
    return rows / (time.perf_counter() - start_s)


def _check(
    name: str, contender: Contender, output: Path, urls: Sequence[str], wanted: np.ndarray
) -> float:
    """Return the least cosine to transformers' embeddings. Raises SystemExit if it is too low."""
    table = ds.dataset(output, format="parquet").to_table(columns=["url", "embedding"])
    found = dict(zip(table["url"].to_pylist(), table["embedding"].to_pylist(), strict=True))
    if found.keys() != set(urls):
        raise SystemExit(f"{name}: {len(found)} rows of {len(urls)}")
    least = min(
        float(np.dot(found[url], vector)) for url, vector in zip(urls, wanted, strict=False)
    )
    if least < contender.min_cosine:
        raise SystemExit(f"{name}: cosine {least:.4f}")
    return least


def _show(result: Mapping[str, Any]) -> None:
    table = Table("job", "images/s", f"{OURS} is ... times as fast", "cosine", box=None)
    for name, rate in result["images_s"].items():
        cosine = result["cosines"].get(name, "")
        table.add_row(name, str(rate), result["times"].get(name, ""), str(cosine))
    Console().print(table)


if __name__ == "__main__":
    main()
