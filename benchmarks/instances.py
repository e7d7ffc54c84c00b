"""Hours of an instance for a million images, on paper: `python -m benchmarks.instances`.

Nothing here was measured on these instances. An image's core-ms were measured on two cores of Zen 4
(peers.json, backends.json, ceiling.json); the peaks of other processors are published ones. It
prints the table of docs/cost.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.ceiling.paper import GFLOP, card_images_s
from benchmarks.record import RESULTS

SECONDS = 1_000_000 / 3600
# An image's preparation when a card encodes: this mix and number of processes.
MIX, PROCESSES = "A", 2
# Variants of the measured container.
FLOAT32, INT8 = "sweetspot", "sweetspot-int8"


@dataclass(frozen=True)
class Core:
    """peak: giga-operations a second. variant: the measured one whose overhead it is to have."""

    runs: str
    peak: float
    variant: str


@dataclass(frozen=True)
class Instance:
    """cores: whole ones; x86 instances of SageMaker have two vCPUs a core. card_tflops: or None."""

    name: str
    cores: int
    core: Core | None = None
    card: str = ""
    card_tflops: float | None = None


# Operations a cycle of a core: AVX-512 with two units, VNNI four times as many in int8, AMX by
# Intel's "Accelerate AI Workloads with Intel AMX". Clocks: all cores, by AWS's product pages.
SAPPHIRE_RAPIDS_GHZ, ICE_LAKE_GHZ = 3.2, 3.5
INSTANCES = (
    Instance("ml.c6i.xlarge", 2, Core("int8, VNNI", 256 * ICE_LAKE_GHZ, INT8)),
    Instance("ml.c7i.xlarge", 2, Core("float32", 64 * SAPPHIRE_RAPIDS_GHZ, FLOAT32)),
    Instance("ml.c7i.xlarge", 2, Core("int8, VNNI", 256 * SAPPHIRE_RAPIDS_GHZ, INT8)),
    Instance("ml.c7i.xlarge", 2, Core("int8, AMX", 2048 * SAPPHIRE_RAPIDS_GHZ, INT8)),
    Instance("ml.g4dn.xlarge", 2, card="T4", card_tflops=65.0),
    Instance("ml.g5.xlarge", 2, card="A10G", card_tflops=70.0),
    Instance("ml.g6.xlarge", 2, card="L4", card_tflops=121.0),
    Instance("ml.g6.4xlarge", 8, card="L4", card_tflops=121.0),
    Instance("ml.g6e.xlarge", 2, card="L40S", card_tflops=362.0),
    Instance("ml.p5.4xlarge", 8, card="H100", card_tflops=989.0),
)


@dataclass(frozen=True)
class Measured:
    """On one core of the measured machine.

    peaks: giga-operations a second by precision. encode_ms, service_ms: an image of ViT-B/32 by
    variant. prepare_ms: an image when a card encodes.
    """

    gflop: float
    peaks: dict[str, float]
    encode_ms: dict[str, float]
    service_ms: dict[str, float]
    prepare_ms: float

    def overhead_ms(self, variant: str) -> float:
        """Return what encoding takes beyond its operations at the peak, ms a GFLOP; at least 0."""
        peak = self.peaks["int8" if variant == INT8 else "float32"]
        return max(0.0, self.encode_ms[variant] / self.gflop - 1000 / peak)

    def rest_ms(self, variant: str) -> float:
        """Return what an image takes beside encoding, ms."""
        return self.service_ms[variant] - self.encode_ms[variant]


def measured() -> Measured:
    """Read the results of the benchmarks."""
    backends, peers, ceiling = (_result(name) for name in ("backends", "peers", "ceiling"))
    ours = {name: peers["containers"][name] for name in (FLOAT32, INT8)}
    cores = json.loads((RESULTS / "backends.json").read_text())["machine"]["cores"]
    prepared = next(
        one["core_ms"]["median"]
        for one in ceiling["measured"]
        if (one["mix"], one["processes"]) == (MIX, PROCESSES)
    )
    return Measured(
        gflop=backends["gflop_an_image"],
        peaks={name: peak / cores for name, peak in backends["peak_gops"].items()},
        encode_ms={name: one["core_ms_by_stage_alone"]["encode"] for name, one in ours.items()},
        service_ms={name: one["core_ms"] for name, one in ours.items()},
        prepare_ms=prepared,
    )


def images_s(instance: Instance, gflop: float, of: Measured) -> tuple[float, str]:
    """Return the images a second of a model, and what limits them. gflop: of an image."""
    if instance.card_tflops is not None:
        by_card = card_images_s(instance.card_tflops, gflop)
        by_cores = 1000 * instance.cores / of.prepare_ms
        return min((by_card, "the card"), (by_cores, "its cores"))
    if instance.core is None:
        raise ValueError(f"{instance.name} has neither a card nor a processor")
    variant = instance.core.variant
    encode_ms = gflop * (1000 / instance.core.peak + of.overhead_ms(variant))
    return 1000 * instance.cores / (encode_ms + of.rest_ms(variant)), "its cores"


def table(of: Measured) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    models = list(GFLOP)
    head = ["instance", "encodes on", "cores"]
    for model in models:
        head += [f"{model}, images/s", "hours a million", "limit"]
    yield _row(head)
    yield _row(["---"] * len(head))
    for one in INSTANCES:
        cells = [one.name, one.card or (one.core.runs if one.core else "-"), str(one.cores)]
        for model in models:
            rate, limit = images_s(one, GFLOP[model], of)
            cells += [f"{rate:,.0f}", f"{SECONDS / rate:.2f}", limit]
        yield _row(cells)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _result(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text())["result"]


if __name__ == "__main__":
    sys.stdout.write("\n".join(table(measured())) + "\n")
