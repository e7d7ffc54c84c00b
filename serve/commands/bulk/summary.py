"""What came of a job, from the reports of its parts and the runs that wrote them.

_summary.json            the summary, rewritten at the end of each run
_runs/20261128T210000.json   when a run began, and for how long it has worked
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from inference.profile.price import HOUR_S, Price
from serve.commands.bulk.job import Job
from serve.commands.bulk.output.part_files import PartFiles, PartReport
from serve.commands.tables.place import Place
from serve.observe.versions import versions

SUMMARY, RUNS = "_summary.json", "_runs"
# How rows with an embedding were made, by the keys of a part's counts.
MADE = ("encoded", "unchanged", "same_bytes")
VERSIONS = ("sweetspot", "torch", "openvino", "pyarrow", "pylance", "ray")
READERS = 16


@dataclass
class Run:
    """One run of the command. Its time so far is kept in the output, for runs that are killed."""

    place: Place
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    _began_s: float = field(default_factory=monotonic)

    def note(self) -> None:
        """Keep the time so far, if it can be written: it is only for the summary."""
        name = f"{RUNS}/{self.began:%Y%m%dT%H%M%S%f}.json"
        kept = {"began": self.began.isoformat(), "seconds": round(self.seconds, 3)}
        with suppress(OSError):
            self.place.write(name, json.dumps(kept).encode())

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return monotonic() - self._began_s


def reports(files: PartFiles, known: Iterable[PartReport]) -> list[PartReport]:
    """Return the reports of all whole parts. known: those that need not be read."""
    have = {one.part: one for one in known}
    with ThreadPoolExecutor(READERS) as pool:
        rest = pool.map(files.report, sorted(files.whole() - have.keys()))
        return sorted([*have.values(), *rest], key=lambda one: one.part)


def summarize(
    job: Job, found: Iterable[PartReport], price_per_hour: float | None = None
) -> dict[str, Any]:
    """Return the summary of a job, whole or not.

    price_per_hour: of all machines together, in any currency.
    """
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    rows = retryable = 0
    cpu_s = 0.0
    for one in found:
        counts += Counter(one.counts)
        examples = one.examples | examples
        rows, retryable, cpu_s = rows + one.rows, retryable + one.retryable, cpu_s + one.cpu_s
    made = {key: counts.pop(key, 0) for key in MADE}
    wall_s = _wall_s(job.parts.place)
    summary: dict[str, Any] = {
        "rows": rows,
        "rows_of_input": job.rows,
        "embedded": sum(made.values()),
        **made,
        "failed": sum(counts.values()),
        "failures": dict(counts.most_common()),
        "examples": examples,
        "may_pass": retryable,
        "wall_s": round(wall_s, 1),
        "images_s": round(rows / wall_s, 1) if wall_s else None,
        "core_hours": round(cpu_s / HOUR_S, 4),
        "fingerprint": job.parts.fingerprint,
        "dimension": job.parts.dimension,
        "versions": versions(VERSIONS),
    }
    price = None if price_per_hour is None else Price(price_per_hour)
    if price is not None and (million := price.per_million(rows, wall_s)) is not None:
        summary["price"] = round(price.of(wall_s), 4)
        summary["price_per_million"] = round(million, 4)
    return summary


def write_summary(place: Place, summary: dict[str, Any]) -> None:
    """Keep the summary in the output. Raises OSError."""
    place.write(SUMMARY, json.dumps(summary, indent=2).encode() + b"\n")


def _wall_s(place: Place) -> float:
    kept = (json.loads(place.read(f"{RUNS}/{name}")) for name in place.names(RUNS))
    return float(sum(one["seconds"] for one in kept))
