"""Cost of HTTP and JSON Lines: a batch transform job compared with `benchmark pipeline`.

python -m benchmarks.transform
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks.containers.spread import spread
from benchmarks.record import record
from benchmarks.service import MODEL, tuned_checkpoint
from serve.benchmark.endpoint_load.thumbnails import served
from tests.e2e.service import started, without_proxies
from tests.e2e.transform import advertised, transform

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 2
RECORDS = 500
# One URL in 33 is missing: 3 %.
BAD = 33
LATENCY_MS = 20.0
MEDIA_TYPE = "application/jsonlines"


def pipeline(checkpoint: Path) -> float:
    """Return the images a second of `sweetspot benchmark pipeline`."""
    command = [sys.executable, "-m", "sweetspot", "benchmark", "pipeline", "--json"]
    done = subprocess.run(
        [*command, "--model", str(checkpoint), "--duration-s", "20"],
        stdout=subprocess.PIPE,
        check=True,
    )
    return float(json.loads(done.stdout)["pipeline"]["items_per_s"])


@contextmanager
def job_service(folder: Path, checkpoint: Path) -> Iterator[Any]:
    """Start the service as a batch transform job does."""
    environ = without_proxies() | {"SAGEMAKER_BATCH": "true"}
    with started(folder, "--model", str(checkpoint), env=environ) as service:
        yield service


def job(service: Any, urls: list[str]) -> tuple[float, dict[str, Any]]:
    """Return the images a second of a whole job, and its execution parameters."""
    asked = advertised(service, MEDIA_TYPE)
    lines = [json.dumps({"url": url}).encode() for url in urls]
    start_s = time.perf_counter()
    output = transform(service.url("/invocations"), lines, asked)
    took_s = time.perf_counter() - start_s
    good = sum("embedding" in json.loads(line) for line in output)
    if len(output) != len(lines) or good != len(lines) - len(range(0, len(lines), BAD)):
        raise SystemExit(f"{len(output)} lines, {good} embeddings of {len(lines)} records")
    return good / took_s, vars(asked)


def main() -> None:
    asked: dict[str, Any] = {}
    rates: dict[str, list[float]] = {"pipeline": [], "transform": []}
    with tempfile.TemporaryDirectory() as name, served(RECORDS, LATENCY_MS) as urls:
        records = [url + ".gone" if n % BAD == 0 else url for n, url in enumerate(urls)]
        checkpoint = tuned_checkpoint(Path(name))
        for _ in range(ROUNDS):
            rates["pipeline"].append(pipeline(checkpoint))
            with job_service(Path(name), checkpoint) as service:
                rate, asked = job(service, records)
            rates["transform"].append(rate)
    ratios = [a / b for a, b in zip(rates["transform"], rates["pipeline"], strict=True)]
    result = {
        "model": MODEL,
        "records": RECORDS,
        "bad": len(range(0, RECORDS, BAD)),
        "job": asked,
        "images_s": {name: round(statistics.median(found), 2) for name, found in rates.items()},
        "transform_of_pipeline": str(spread(ratios)),
        "rounds": {name: [round(one, 2) for one in found] for name, found in rates.items()},
    }
    Console().print(result)
    Console().print(str(record("transform", result)))


if __name__ == "__main__":
    main()
