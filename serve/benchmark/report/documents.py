"""The common parts of the benchmarks' documents: `--json` writes, `--compare` reads them."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from inference.loadtest.summary import Load
from inference.profile.machine import cores, cpu_name

VERSION = 1
# Options of the output; they do not affect the measurement.
OUTPUT_ONLY = ("as_json", "report", "compare", "max_loss")


def heading(benchmark: str, *, complete: bool) -> dict[str, Any]:
    """Return a document's first keys: the benchmark, whether it is complete, the machine."""
    return {
        "version": VERSION,
        "benchmark": benchmark,
        "complete": complete,
        "machine": {"cpu": cpu_name(), "cores": cores(), "platform": platform.system()},
    }


def older(path: str, benchmark: str) -> dict[str, Any]:
    """Read a document of `benchmark NAME --json`. Raises ClickException for anything else."""
    try:
        old = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as exc:
        raise click.ClickException(f"{path} is not JSON") from exc
    if not isinstance(old, dict) or old.get("benchmark") != benchmark:
        raise click.ClickException(f"{path} is not a document of `benchmark {benchmark} --json`")
    return old


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def numbers(load: Load) -> dict[str, Any]:
    """Return all numbers of a load, with every latency, for JSON."""
    return {
        "requests": load.requests,
        "items_ok": load.items_ok,
        "items_per_s": round(load.items_per_s, 3),
        "p50_ms": rounded(load.p50_ms),
        "p95_ms": rounded(load.p95_ms),
        "p99_ms": rounded(load.p99_ms),
        "failed": load.failed,
        "errors": load.errors,
        "retried": load.retried,
        "dropped": load.dropped,
        "duration_s": round(load.duration_s, 3),
        "complete": load.complete,
        "latencies_ms": [round(one, 3) for one in load.latencies_ms],
    }


def rounded(value: float | None) -> float | None:
    """Round to a thousandth; None stays None."""
    return None if value is None else round(value, 3)
