"""The parts in order, the most important first, because a run may end before the last."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from benchmarks.gpu.plan import Run

# Time limit of a whole run, s.
BUDGET_S = 420.0


@dataclass(frozen=True)
class Part:
    """seconds: time limit. words: description. package: of its module, which has `run`."""

    name: str
    seconds: float
    words: str
    package: str = "benchmarks.gpu"

    def load(self) -> Run:
        """Import its `run`; only the process that runs it imports heavy packages."""
        run: Run = import_module(f"{self.package}.{self.name}").run
        return run


# If this part fails, the others are skipped.
FIRST = "machine"
PARTS = (
    Part(FIRST, 25, "the card, its driver, the libraries"),
    Part("checkpoints", 45, "models of random weights"),
    Part("marked", 30, "the tests marked `gpu`"),
    Part("parity", 55, "each precision against transformers"),
    Part("curve", 80, "both towers at each batch size, and their memory"),
    Part("service", 90, "the service under load"),
    Part("pinned", 15, "pinned staging, on and off"),
    Part("graphs", 30, "CUDA graphs, on and off"),
    Part("pair", 25, "two models at once"),
    Part("memory", 25, "recovery from out of memory"),
)
NAMES = tuple(part.name for part in PARTS)
