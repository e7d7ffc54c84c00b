"""What limits a service under load, from its metrics and the kernel's processor times."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import requests
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.containers.processes import cpu_s
from benchmarks.gpu.plan import Numbers
from inference.stats import STAGES

# A resource limits from this share of its capacity on.
BUSY = 0.85
# From this slowdown against the tuning on, batches also wait for something else.
WAITING = 1.5
STOP_S = 5.0
SMI = ("--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits", "-lms", "250")


@dataclass(frozen=True)
class Reading:
    """Values at an instant. counts: of /metrics. cpu_s: processor time by group of processes."""

    at_s: float
    counts: Counter[str]
    cpu_s: dict[str, float]


@dataclass(frozen=True)
class Spent:
    """Use of resources between two readings.

    encoder: busy share of its streams, including waits in a forward pass. slowdown: of its current
    batches against the tuning. cores: busy ones, by group of processes.
    """

    seconds: float
    encoder: float
    slowdown: float
    mean_batch: float
    stage_ms: dict[str, float]
    cores: dict[str, float]


def read(url: str, service: int) -> Reading:
    """Read now. service: pid of gunicorn's master. Thumbnail servers are child processes."""
    text = requests.get(f"{url}/metrics", timeout=10).text
    own = time.process_time()
    of_service = cpu_s(service)
    others = cpu_s(os.getpid()) - of_service - own
    shares = {"service": of_service, "clients": own, "thumbnail servers": others}
    return Reading(time.monotonic(), counts(text), shares)


def counts(text: str) -> Counter[str]:
    """Return the needed sums of the image tower over all lanes, by `stage key`."""
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.labels.get("tower") == "image" or "stage" in sample.labels:
                key = sample.name.removeprefix("sweetspot_")
                stage = sample.labels.get("stage", "")
                if "le" not in sample.labels:
                    found[f"{stage} {key}".strip()] += sample.value  # type: ignore[assignment]  # seconds
    return found


def spent(before: Reading, after: Reading, streams: int) -> Spent:
    """Return the use of resources between two readings. streams: concurrent forward passes."""
    seconds = after.at_s - before.at_s
    counted = Counter(after.counts)
    counted.subtract(before.counts)
    batches = counted["batch_size_count"]
    return Spent(
        seconds,
        encoder=counted["encode_seconds_total"] / (seconds * streams),
        slowdown=after.counts["slowdown"],
        mean_batch=counted["batch_size_sum"] / batches if batches else 0.0,
        stage_ms={stage: _mean_ms(counted, stage) for stage in STAGES},
        cores={who: (after.cpu_s[who] - before.cpu_s[who]) / seconds for who in after.cpu_s},
    )


def _mean_ms(counted: Counter[str], stage: str) -> float:
    """Return the mean time of an item in a stage, ms; 0 without items."""
    count = counted[f"{stage} stage_seconds_count"]
    return 1000 * counted[f"{stage} stage_seconds_sum"] / count if count else 0.0


def limit(one: Spent, cores: int) -> str:
    """Return what limits, in words."""
    if one.encoder >= BUSY and one.slowdown < WAITING:
        return "the encoder"
    if sum(one.cores.values()) >= BUSY * cores:
        most = max(one.cores, key=lambda who: one.cores[who])
        return f"the machine's cores, most of them in the {most}"
    alone = {who: used for who, used in one.cores.items() if used >= BUSY and who != "service"}
    if alone:
        return f"perhaps one process: the {max(alone, key=lambda who: alone[who])}"
    if one.encoder >= BUSY:
        return f"one interpreter: its batches take {one.slowdown:.1f} times the tuned time"
    return "neither encoder nor cores: waiting threads, or one interpreter"


@contextmanager
def watching_card() -> Iterator[list[str]]:
    """Run nvidia-smi while open; after that the list has its lines: utilisation, memory."""
    tool = shutil.which("nvidia-smi")
    lines: list[str] = []
    if tool is None:
        yield lines
        return
    process = subprocess.Popen([tool, *SMI, "-i", "0"], stdout=subprocess.PIPE, text=True)
    try:
        yield lines
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):  # stuck in the driver: the supervisor kills it
            lines += process.communicate(timeout=STOP_S)[0].splitlines()


def of_card(lines: Sequence[str]) -> Numbers:
    """Return the median utilisation, %, and the peak memory of all processes, MiB."""
    found = [re.fullmatch(r"(\d+), (\d+)", line.strip()) for line in lines]
    whole = [(int(one[1]), int(one[2])) for one in found if one]  # skips lines with [N/A]
    if not whole:
        return {}
    busy, memory = zip(*whole, strict=True)
    return {"busy_percent": statistics.median(busy), "memory_mib": max(memory)}
