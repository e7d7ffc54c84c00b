"""The common parts of the benchmarks' documents: `--json` writes, `--compare` reads them."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import click

from inference.loadtest.summary import Load
from inference.profile.machine import cores, cpu_name
from inference.profile.price import Price
from model.encoder import EncoderSpec
from serve.observe.versions import commit, versions

VERSION = 1
# Options of the output; they do not affect the measurement.
OUTPUT_ONLY = ("as_json", "report", "compare", "max_loss", "price")


def heading(benchmark: str, *, complete: bool) -> dict[str, Any]:
    """Return a document's first keys: the benchmark, whether it is complete, machine and code."""
    return {
        "version": VERSION,
        "benchmark": benchmark,
        "complete": complete,
        "machine": {"cpu": cpu_name(), "cores": cores(), "platform": platform.system()},
        "code": {"version": versions(("sweetspot",)).get("sweetspot"), "commit": commit()},
    }


def model_of(spec: EncoderSpec, cosine: float | None) -> dict[str, Any]:
    """Return what runs, for JSON. cosine: the smallest to float32; None if it is not known."""
    return {
        "name": spec.name,
        "fingerprint": spec.fingerprint,
        "precision": spec.precision,
        "backend": spec.backend,
        "device": spec.device,
        "cosine": None if cosine is None else round(cosine, 6),
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


def priced(price: Price | None, **items_s: float | None) -> dict[str, Any] | None:
    """Return a price and the price of a million items of each kind, for JSON; None without one.

    items_s: by kind, such as images; None or 0 leaves the kind out.
    """
    if price is None:
        return None
    found = {kind: price.per_million(rate) for kind, rate in items_s.items() if rate}
    return price.as_dict() | {
        f"per_million_{kind}": None if one is None else round(one, 4) for kind, one in found.items()
    }


def rounded(value: float | None) -> float | None:
    """Round to a thousandth; None stays None."""
    return None if value is None else round(value, 3)
