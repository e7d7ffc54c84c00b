"""Options and results of `benchmark pipeline`: JSON document and comparison. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from inference.loadtest.summary import Load
from inference.profile.machine import cores
from inference.profile.price import Price
from serve.benchmark.pipeline_stages.stages import Spent, Stage, limit, limiting, stages
from serve.benchmark.report.documents import OUTPUT_ONLY, heading, numbers, priced, rounded
from serve.benchmark.report.table_rows import Rows
from serve.observe.process_use import ProcessUse
from serve.plan import Plan
from serve.settings import MIB


@dataclass(frozen=True)
class Asked:
    """The command's own options; see its help. max_loss: allowed loss of throughput, 0..1."""

    mix: str = "thumbnails"
    latency_ms: float = 20.0
    batch: int = 64
    concurrency: int = 4
    duration_s: float = 10.0
    as_json: bool = False
    report: str | None = None
    compare: str | None = None
    max_loss: float = 0.1
    price: Price | None = None


@dataclass(frozen=True)
class RoleSpent:
    """Processes of one role. core_ms: CPU time an image. mib: memory of all, PSS."""

    role: str
    number: int
    core_ms: float
    mib: float

    @classmethod
    def between(
        cls, before: Sequence[ProcessUse], after: Sequence[ProcessUse], images: int
    ) -> list[RoleSpent]:
        """Return what each role used for so many images."""
        earlier_s = {one.role: one.cpu_s for one in before}
        return [
            cls(
                one.role,
                one.number,
                1000 * (one.cpu_s - earlier_s.get(one.role, 0.0)) / max(1, images),
                one.memory_bytes / MIB,
            )
            for one in after
        ]


@dataclass(frozen=True)
class Found:
    """The results.

    load: of the whole pipeline. processes: what each role used. before, after: images a second of
    the encoder alone, batch by batch. complete: False when interrupted. faster: precisions that
    would make the encoder faster here. model: what runs, for JSON.
    """

    asked: Asked
    facts: dict[str, str]
    plan: Plan
    on_cpu: bool
    load: Load
    spent: Spent
    processes: Sequence[RoleSpent]
    before: Sequence[float]
    after: Sequence[float] = ()
    complete: bool = True
    versions: Mapping[str, str] = field(default_factory=dict)
    faster: Sequence[str] = ()
    model: Mapping[str, Any] = field(default_factory=dict)

    @property
    def core_ms(self) -> float:
        """CPU time of all processes for an image, ms."""
        return sum(one.core_ms for one in self.processes)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages, each with its busy share."""
        return stages(self.spent, self.load.items_per_s, self.plan.threads)

    @property
    def limit(self) -> str:
        """The bottleneck, in a sentence."""
        spare_cores = self.plan.threads.decode < cores()
        return limit(
            self.stages, self.full, on_cpu=self.on_cpu, spare_cores=spare_cores, faster=self.faster
        )

    @property
    def limited_by(self) -> tuple[str, ...]:
        """The stages that limit, the first of them first."""
        return limiting(self.stages, self.full, on_cpu=self.on_cpu)

    @property
    def full(self) -> float:
        """Mean images of a forward pass / the batch size, 0..1."""
        return (self.spent.mean_batch or 0.0) / self.plan.image.batch_size

    @property
    def alone(self) -> float:
        """Images a second of the encoder alone, the median of before and after."""
        return statistics.median([*self.before, *self.after])

    @property
    def drift(self) -> float:
        """Relative difference of the encoder alone, before and after; 0 without `after`."""
        if not self.after:
            return 0.0
        before, after = statistics.median(self.before), statistics.median(self.after)
        return abs(after - before) / min(before, after)

    @property
    def ratio(self) -> float:
        """The pipeline's images a second / those of the encoder alone."""
        return self.load.items_per_s / self.alone


def document(found: Found) -> dict[str, Any]:
    """Return all results, for JSON."""
    asked = {k: v for k, v in asdict(found.asked).items() if k not in OUTPUT_ONLY}
    image, text = found.plan.image, found.plan.text
    return heading("pipeline", complete=found.complete) | {
        "versions": dict(found.versions),
        "model": dict(found.model),
        "price": priced(found.asked.price, images=found.load.items_per_s),
        "facts": found.facts,
        "asked": asked,
        "plan": {
            "batch_size": image.batch_size,
            "max_wait_ms": round(1000 * image.max_wait_s, 3),
            "text_batch_size": text.batch_size,
            "threads": asdict(found.plan.threads),
        },
        "pipeline": numbers(found.load) | {"mean_batch": rounded(found.spent.mean_batch)},
        "stages": [
            asdict(one) | {"busy": rounded(one.busy), "p50_ms": rounded(one.p50_ms)}
            for one in found.stages
        ],
        "processes": [
            asdict(one) | {"core_ms": rounded(one.core_ms), "mib": rounded(one.mib)}
            for one in found.processes
        ],
        "core_ms": rounded(found.core_ms),
        "encoder_alone": {
            "items_per_s": rounded(found.alone),
            "before": [rounded(one) for one in found.before],
            "after": [rounded(one) for one in found.after],
        },
        "ratio": rounded(found.ratio),
        "limit": found.limit,
        "limited_by": list(found.limited_by),
    }


def check_same(old: Mapping[str, Any], asked: Asked) -> None:
    """Raise ValueError when the older document was measured with another load."""
    then = old.get("asked")
    for name in ("mix", "latency_ms", "batch", "concurrency"):
        now = getattr(asked, name)
        if not isinstance(then, dict) or name not in then:
            raise ValueError("it is not a document of `benchmark pipeline --json`")
        if then[name] != now:
            flag = "--" + name.replace("_", "-")
            raise ValueError(f"it was measured with {flag} {then[name]}, this is {now}")


def compare(old: Mapping[str, Any], found: Found) -> tuple[Rows, float]:
    """Return numbers then and now, and the ratio of the pipeline's images a second.

    Raises ValueError when `old` is not such a document, or has nothing to compare with.
    """
    try:
        then = float(old["pipeline"]["items_per_s"])
        alone = float(old["encoder_alone"]["items_per_s"])
    except (KeyError, TypeError, ValueError) as exc:
        raise ValueError("it is not a document of `benchmark pipeline --json`") from exc
    if not then or not alone:
        raise ValueError("nothing was measured then")
    pairs = {
        "pipeline": (then, found.load.items_per_s),
        "encoder alone": (alone, found.alone),
    }
    rows = [(name, f"{a:.1f}", f"{b:.1f}", f"{b / a:.3f}") for name, (a, b) in pairs.items()]
    return Rows(("images/s", "then", "now", "now / then"), rows), found.load.items_per_s / then
