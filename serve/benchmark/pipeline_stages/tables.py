"""Table rows and sentences of `benchmark pipeline`, for terminal and page. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from inference.profile.price import money
from serve.benchmark.pipeline_stages.record import Found
from serve.benchmark.pipeline_stages.stages import ENCODER_BUSY
from serve.benchmark.report.table_rows import PARTIAL, Rows, failed, star

# A ratio to the encoder alone above this needs no explanation.
NEAR = 0.95
# A larger difference between before and after has a cause outside the benchmark.
DRIFTED = 0.15


def stage_rows(found: Found) -> Rows:
    """Return a row for each stage."""
    rows = [
        (
            one.name,
            "-" if one.threads is None else str(one.threads),
            "-" if one.busy is None else f"{one.busy:.0%}",
            "-" if one.p50_ms is None else f"{one.p50_ms:.1f}",
        )
        for one in found.stages
    ]
    return Rows(("stage", "threads", "busy", "p50 ms an image"), rows)


def process_rows(found: Found) -> Rows:
    """Return a row for each role of a process. The service's process also makes the load here."""
    rows = [
        (f"{one.role} x {one.number}", f"{one.core_ms:.2f}", f"{one.mib:.0f}")
        for one in found.processes
    ]
    return Rows(("processes", "core-ms an image", "memory, MiB"), rows)


def speed_sentence(found: Found) -> str:
    """Return the images a second, and their ratio to the encoder alone."""
    return (
        f"{found.load.items_per_s:.1f}{star(found.load)} images/s, "
        f"{found.ratio:.2g} of what the encoder makes alone"
    )


def price_sentence(found: Found) -> str:
    """Return what a million images cost; empty without a price."""
    price = found.asked.price
    if price is None:
        return ""
    return (
        f"a million images cost {money(price.per_million(found.load.items_per_s))}, at "
        f"{found.core_ms:.1f} core-ms an image; the encoder alone would cost "
        f"{money(price.per_million(found.alone))}"
    )


def encoder_sentence(found: Found) -> str:
    """Return the encoder's throughput alone, and its mean batch in the pipeline."""
    size, mean = found.plan.image.batch_size, found.spent.mean_batch
    alone = " / ".join(f"{statistics.median(one):.1f}" for one in _turns(found))
    when = "before / after" if found.after else "before"
    filled = "" if mean is None else f"; in the pipeline batches of {mean:.1f} on average"
    return f"the encoder alone, batches of {size}: {alone} images/s {when}{filled}"


def notes(found: Found) -> list[str]:
    """Return warnings about the numbers, and the failures."""
    drifted = f"the encoder alone differs by {found.drift:.0%}: another process may use the CPU"
    return [
        *([drifted] if found.drift > DRIFTED else []),
        *failed([found.load]),
        *([] if found.complete else [PARTIAL]),
    ]


def shared_sentence(found: Found) -> str:
    """Return why a busy encoder is slower than alone; empty when it is not."""
    busy = {one.name: one.busy or 0.0 for one in found.stages}
    if found.on_cpu and found.ratio < NEAR and busy["encode"] >= ENCODER_BUSY:
        return "in the pipeline it shares its cores with fetching, decoding and the load itself"
    return ""


def _turns(found: Found) -> list[Sequence[float]]:
    return [one for one in (found.before, found.after) if one]
