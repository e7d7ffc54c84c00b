"""Cost of OpenMP's spinning when decoding threads share the cores with the encoder.

The built-in model encodes batches of 16 while one thread per core decodes thumbnails. Each setting
runs in a process of its own; rounds are interleaved.

python -m benchmarks.spin
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.record import record

ROUNDS, SECONDS, BATCH = 5, 3.0, 16
SETTINGS = {
    "OpenMP's default": {"GOMP_SPINCOUNT": ""},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": ""},
    "GOMP_SPINCOUNT=1000 (ours)": {"GOMP_SPINCOUNT": "1000"},
}
COLUMNS = ("alone", "with decoders", "decodes beside it")


def measure() -> None:
    """Run in the process of one setting; print images/s alone and beside decoders, decodes/s."""
    if not os.environ.get("GOMP_SPINCOUNT"):
        os.environ.pop("GOMP_SPINCOUNT", None)
    import model.backends.torch_encoder  # loads OpenMP with this environment, before load() sets it
    from model.config import ModelConfig
    from model.load import load
    from model.synthetic.thumbnails import sample

    assert model.backends.torch_encoder
    encoder = load(ModelConfig(model="builtin", device="cpu"))
    images = [sample(seed).data for seed in range(16)]
    pixels = np.stack([encoder.spec.preprocessing(image) for image in images])
    decoded, stopping = [0], threading.Event()

    def decode() -> None:
        while not stopping.is_set():
            for image in images:
                encoder.spec.preprocessing(image)
                decoded[0] += 1

    def encode() -> float:
        count, start_s = 0, time.perf_counter()
        while time.perf_counter() - start_s < SECONDS:
            encoder.encode_images(pixels)
            count += BATCH
        return count / (time.perf_counter() - start_s)

    alone = encode()
    threads = [threading.Thread(target=decode) for _ in os.sched_getaffinity(0)]
    for thread in threads:
        thread.start()
    before, beside = decoded[0], encode()
    decodes = (decoded[0] - before) / SECONDS
    stopping.set()
    print(alone, beside, decodes)


def main() -> None:
    found: dict[str, list[list[float]]] = {name: [] for name in SETTINGS}
    for _ in range(ROUNDS):
        for name, variables in SETTINGS.items():
            command = [sys.executable, "-m", "benchmarks.spin", "measure"]
            environ = os.environ | variables
            output = subprocess.run(command, env=environ, check=True, capture_output=True).stdout
            found[name].append([float(value) for value in output.split()])
    table = Table("setting", *COLUMNS, title="images/s, median of rounds")
    rows = []
    for name, rounds in found.items():
        medians = [round(statistics.median(values)) for values in zip(*rounds, strict=True)]
        table.add_row(name, *map(str, medians))
        rows.append({"setting": name, "rounds": rounds} | dict(zip(COLUMNS, medians, strict=True)))
    console = Console()
    console.print(table)
    console.print(record("spin", rows))


if __name__ == "__main__":
    measure() if sys.argv[1:] == ["measure"] else main()
