"""Image tower on every back end and precision, each at its own best batch size, in one run.

    python -m benchmarks.backends        some 12 minutes, with the quantization

ViT-B/32 with random weights, forward passes only. Rounds in shuffled order measure every back end
at every size, and OpenVINO also on two streams that share the cores; ratios are taken within a
round. The machine's peaks are measured too, to give the share of them that an encoder reaches.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.containers.spread import Spread, spread
from benchmarks.peaks import float32_gops, int8_gops
from benchmarks.record import record
from benchmarks.service import MODEL
from inference.profile.machine import cores
from inference.tuning.runners import Run, image_runner, on_streams
from model.backends.torch_encoder import TorchEncoder
from model.config import ModelConfig
from model.encoder import Encoder
from model.fidelity.cosines import fidelity
from model.load import load, open_checkpoint, runnable
from model.synthetic.thumbnails import sample
from tests.checkpoints import make_checkpoint

SIZES = (1, 2, 4, 8, 12, 16, 24, 32)
ROUNDS, TURN_S = 5, 0.8
PICTURES = 32
SEED = 2_000_000


class Way(NamedTuple):
    """A back end in a precision, on a number of streams."""

    name: str
    streams: int


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = _quantized(make_checkpoint(Path(name) / "vit-b-32", "vit-b-32"), Path(name))
        encoders = _encoders(folder)
        peaks = {"float32": float32_gops(), "int8": int8_gops()}
        rates = _measure(encoders)
        result = _result(rates, _fidelities(encoders), peaks, _gflop(folder))
    _show(result)
    Console().print(str(record("backends", result)))


def _quantized(checkpoint: Path, folder: Path) -> Path:
    """Return the folder of an artifact with graphs of both precisions."""
    artifact, sweetspot = folder / "artifact", [sys.executable, "-m", "sweetspot"]
    quantize = ["quantize", "--model", str(checkpoint), "-o", str(artifact)]
    for command in (quantize, ["export", "--model", str(artifact)]):
        subprocess.run([*sweetspot, *command], check=True)
    return artifact


def _encoders(folder: Path) -> dict[str, Encoder]:
    """Load all encoders, by back end and precision; torch in float32 is the first."""
    every = runnable(ModelConfig(model=str(folder), threads=cores()))
    opened = [load(config) for config in every]
    return {f"{one.spec.backend} {one.spec.precision}": one for one in opened}


def _measure(encoders: dict[str, Encoder]) -> dict[Way, dict[int, list[float]]]:
    """Measure the images a second of each way and size, once a round."""
    ways = [Way(name, 1) for name in encoders]
    ways += [Way(name, cores()) for name in encoders if name.startswith("openvino")]
    rates: dict[Way, dict[int, list[float]]] = {way: {n: [] for n in SIZES} for way in ways}
    dice = random.Random(0)
    for number in track(range(ROUNDS + 1), "rounds"):
        dice.shuffle(ways)
        for way in ways:
            encoder = encoders[way.name]
            encoder.use_threads(cores() // way.streams, way.streams)
            with on_streams(image_runner(encoder), way.streams) as run:
                for n in dice.sample(SIZES, len(SIZES)):
                    found = _rate(run, n, way.streams)
                    if number:  # the first round compiles
                        rates[way][n].append(found)
    return rates


def _rate(run: Run, n: int, streams: int) -> float:
    run(n)
    count, start_s = 0, time.perf_counter()
    while (took_s := time.perf_counter() - start_s) < TURN_S:
        run(n)
        count += n * streams
    return count / took_s


def _fidelities(encoders: dict[str, Encoder]) -> dict[str, Any]:
    """Compare embeddings of thumbnails with those of torch in float32."""
    first = next(iter(encoders.values()))
    pixels = np.stack([first.spec.preprocessing(sample(SEED + n).data) for n in range(PICTURES)])
    expected = first.encode_images(pixels)
    return {
        name: fidelity(one.encode_images(pixels), expected).as_dict()
        for name, one in encoders.items()
    }


def _gflop(folder: Path) -> float:
    """Return the GFLOP of the image tower for one image; a multiply-add counts as two."""
    encoder = TorchEncoder(open_checkpoint(str(folder)), ModelConfig(device="cpu"))
    side = encoder.spec.image_size
    counter: Any = FlopCounterMode(display=False)
    with counter:
        encoder.encode_images(np.zeros((1, side, side, 3), np.uint8))
    return float(counter.get_total_flops()) / 1e9


def _result(
    rates: dict[Way, dict[int, list[float]]],
    fidelities: dict[str, Any],
    peaks: dict[str, float],
    gflop: float,
) -> dict[str, Any]:
    best = {way: max(of, key=lambda n: statistics.median(of[n])) for way, of in rates.items()}
    base = rates[Way("torch float32", 1)][best[Way("torch float32", 1)]]
    rows = {}
    for way, size in best.items():
        found = rates[way][size]
        times = spread([ours / theirs for ours, theirs in zip(found, base, strict=True)])
        peak = peaks["int8" if way.name.endswith("int8") else "float32"]
        rows[f"{way.name}, {way.streams} x {cores() // way.streams} threads"] = {
            "best_batch": size,
            "images_s": round(statistics.median(found), 2),
            "times_torch": round(times.median, 3),
            "times_torch_least": round(times.low, 3),
            "times_torch_most": round(times.high, 3),
            "share_of_peak": round(statistics.median(found) * gflop / peak, 3),
            "cosine_min": round(fidelities[way.name]["plain"]["min"], 6),
            "centred_cosine_min": round(fidelities[way.name]["centred"]["min"], 6),
            "images_s_by_batch": {
                n: round(statistics.median(of), 1) for n, of in rates[way].items()
            },
        }
    return {
        "model": MODEL,
        "gflop_an_image": round(gflop, 3),
        "peak_gops": {name: round(value, 1) for name, value in peaks.items()},
        "torch_threads": torch.get_num_threads(),
        "rows": dict(sorted(rows.items(), key=lambda one: one[1]["images_s"])),
    }


def _show(result: dict[str, Any]) -> None:
    heads = ("batch", "images/s", "x torch", "share of peak", "cosine min", "centred")
    table = Table("image tower", *heads, title="each at its own best batch size", box=None)
    for name, one in result["rows"].items():
        times = Spread(one["times_torch"], one["times_torch_least"], one["times_torch_most"])
        cosines = (f"{one[key]:.5f}" for key in ("cosine_min", "centred_cosine_min"))
        table.add_row(
            name, str(one["best_batch"]), f"{one['images_s']:.1f}", str(times),
            f"{one['share_of_peak']:.0%}", *cosines,
        )  # fmt: skip
    Console().print(table)
    Console().print(f"peaks, giga-operations/s: {result['peak_gops']}", highlight=False)


if __name__ == "__main__":
    main()
