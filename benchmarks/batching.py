"""Gain of dynamic batching: 16 bulk clients of 16 URLs, at the sweet spot and at batch size 1.

python -m benchmarks.batching
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.record import record
from benchmarks.service import MODEL, image_batches, tuned_checkpoint
from inference.loadtest.run import closed_loop
from serve.asking.transports import HttpTransport
from serve.benchmark.endpoint_load.client import invoke
from serve.benchmark.endpoint_load.payload import Bulk
from serve.benchmark.endpoint_load.thumbnails import served
from tests.e2e.service import started

CLIENTS, URLS, POOL, LATENCY_MS = 16, 16, 256, 20.0
DURATION_S, WARM_UP_S, TURNS = 25.0, 10.0, 2


def measure(folder: Path, checkpoint: Path, size: str, urls: list[str]) -> dict[str, Any]:
    """Measure images a second, and the mean batch that the service formed."""
    options = ["--model", str(checkpoint), "--batch-size", size]
    with started(folder, *options) as service:
        target = HttpTransport(service.url(""), CLIENTS)
        bulk = Bulk("urls", urls)
        load = closed_loop(lambda: invoke(target, bulk.body(URLS)), CLIENTS, DURATION_S, WARM_UP_S)
        count, items = image_batches(service.url(""))
    return {
        "images_s": round(load.items_per_s, 2),
        "p95_ms": round(load.p95_ms or 0.0),
        "failed": dict(load.failed),
        "mean_batch": round(items / count, 2),
    }


def main() -> None:
    runs: dict[str, list[dict[str, Any]]] = {"auto": [], "1": []}
    with tempfile.TemporaryDirectory() as name, served(POOL, LATENCY_MS) as urls:
        checkpoint = tuned_checkpoint(Path(name))
        for turn in range(TURNS):
            for size in ("auto", "1") if turn % 2 == 0 else ("1", "auto"):
                runs[size].append(measure(Path(name), checkpoint, size, urls))
                Console().print(size, runs[size][-1])
    medians = {size: statistics.median(run["images_s"] for run in of) for size, of in runs.items()}
    table = Table("--batch-size", "images/s", "mean batch", title=f"{CLIENTS} x {URLS} URLs")
    for size, of in runs.items():
        batch = statistics.median(run["mean_batch"] for run in of)
        table.add_row(size, f"{medians[size]:.1f}", f"{batch:.1f}")
    Console().print(table)
    ratio = round(medians["auto"] / medians["1"], 3)
    path = record("batching", {"model": MODEL, "runs": runs, "ratio": ratio})
    Console().print(f"ratio {ratio}: {path}")


if __name__ == "__main__":
    main()
