"""`sweetspot bulk` beside `benchmark pipeline`: what a job around the engine costs.

    python -m benchmarks.bulk.pipeline [--rounds 5]      some 5 minutes on two cores

Both embed the same 256 thumbnails again and again by ViT-B/32 in int8. So the job here does not
remember embeddings by their bytes, which would spare it most of the work. Its rate is that of the
parts after the first: the start and the first batches do not count, as in `benchmark pipeline`.
Both need a profile: without one each run tunes at its start, and two runs may choose other batches.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.containers.fleet import CONTAINERS
from benchmarks.containers.prepare import model_of
from benchmarks.containers.spread import spread
from benchmarks.record import record
from benchmarks.transform import pipeline
from inference.profile.profile import FILE_NAME
from serve.benchmark.endpoint_load.thumbnails import served

POOL, LATENCY_MS = 256, 20.0
PARTS, ROWS_PER_PART = 8, 128
FORGETFUL = (
    "from serve.commands.bulk.embedding import feeder; feeder.REUSED_BYTES = 0;"
    "from sweetspot import main; main()"
)


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    asked = options.parse_args()
    model = model_of(CONTAINERS["sweetspot-int8"], tune=True)
    if not (model / FILE_NAME).exists():
        raise SystemExit("the machine is too noisy for a profile; see .peers/logs")
    rates: dict[str, list[float]] = {"bulk": [], "pipeline": []}
    for _ in range(asked.rounds):
        rates["bulk"].append(bulk(model))
        rates["pipeline"].append(pipeline(model))
        print({name: round(found[-1], 1) for name, found in rates.items()}, flush=True)
    ratios = [a / b for a, b in zip(rates["bulk"], rates["pipeline"], strict=True)]
    result = {
        "images_s": {name: round(statistics.median(found), 2) for name, found in rates.items()},
        "rounds": {name: [round(one, 2) for one in found] for name, found in rates.items()},
        "bulk_of_pipeline": str(spread(ratios)),
    }
    Console().print(result)
    Console().print(str(record("bulk.pipeline", result)))


def bulk(model: Path) -> float:
    """Return the images a second of a job, of the parts after the first."""
    with tempfile.TemporaryDirectory() as folder, served(POOL, LATENCY_MS) as urls:
        listed, output = Path(folder) / "urls.txt", Path(folder) / "output"
        count = PARTS * ROWS_PER_PART
        listed.write_text("\n".join(urls[row % POOL] for row in range(count)))
        flags = ["--rows-per-part", str(ROWS_PER_PART), "--allow-host", "127.0.0.1"]
        job = ["bulk", str(listed), "-o", str(output), "--model", str(model), *flags]
        subprocess.run([sys.executable, "-c", FORGETFUL, *job], check=True, capture_output=True)
        ended_s = sorted(part.stat().st_mtime for part in output.glob("part-*"))
    return (PARTS - 1) * ROWS_PER_PART / (ended_s[-1] - ended_s[0])


if __name__ == "__main__":
    main()
