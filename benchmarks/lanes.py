"""Latency of queries beside saturating bulk load, and their cost to it: `benchmark endpoint`.

python -m benchmarks.lanes
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.record import record
from benchmarks.service import MODEL, tuned_checkpoint
from tests.e2e.service import started

OPTIONS = "--batch 16 --concurrency 16 --interactive-rate 0.5 --duration-s 30 --repeats 3"
# 200 ms for the batch that runs, and slack for other delays.
WAIT_MS, SLACK_MS = 200.0, 50.0


def benchmark(url: str) -> dict[str, Any]:
    """Run `benchmark endpoint --json` and return its document."""
    command = [sys.executable, "-m", "sweetspot", "benchmark", "endpoint", "--url", url, "--json"]
    done = subprocess.run([*command, *OPTIONS.split()], stdout=subprocess.PIPE, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def shown(document: dict[str, Any], one_ms: float) -> dict[str, Any]:
    """Select the numbers to record: latencies of each kind of query with their bound, and bulk."""
    found = document["interactive"]
    keys = ("requests", "p50_ms", "p95_ms", "p99_ms")
    queries = {
        kind: {
            "alone": {key: found[kind]["alone"][key] for key in keys},
            "beside_bulk": {key: found[kind]["beside_bulk"][key] for key in keys},
            "bound_ms": round(max(WAIT_MS, one_ms) + found[kind]["alone"]["p95_ms"] + SLACK_MS, 1),
        }
        for kind in ("text", "screenshot")
    }
    bulk = {
        turns: [round(load["items_per_s"], 2) for load in found["bulk"][turns]]
        for turns in ("alone", "beside")
    }
    return queries | {"bulk_images_s": bulk, "bulk_share": found["bulk"]["share"]}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        checkpoint = tuned_checkpoint(Path(name))
        with started(Path(name), "--model", str(checkpoint)) as service:
            document = benchmark(service.url(""))
        profile = json.loads((checkpoint / "sweetspot.json").read_text())["profiles"][0]
    result = {
        "model": MODEL,
        "options": OPTIONS,
        "batch_size": profile["image"]["batch_size"],
        "threads": profile["threads"],
        **shown(document, profile["image"]["points"][0]["p50_ms"]),
    }
    Console().print(result)
    Console().print(str(record("lanes", result)))


if __name__ == "__main__":
    main()
