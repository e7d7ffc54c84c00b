"""The parts in their order, the most telling first: a run may end before its last."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from benchmarks.gpu.plan import Run

# Of a whole run, s: seven minutes on a card.
BUDGET_S = 420.0


@dataclass(frozen=True)
class Part:
    """seconds: its time box. words: for people. package: where its module, with `run`, is."""

    name: str
    seconds: float
    words: str
    package: str = "benchmarks.gpu"

    def load(self) -> Run:
        """Its function; what is heavy is imported in the process that runs it."""
        run: Run = import_module(f"{self.package}.{self.name}").run
        return run


# What the machine is must be known before anything else makes sense.
FIRST = "machine"
PARTS = (
    Part(FIRST, 25, "the card, its driver, the libraries"),
    Part("checkpoints", 45, "models of random weights"),
    Part("marked", 35, "the tests marked `gpu`"),
    Part("parity", 60, "each precision against transformers"),
    Part("curve", 90, "both towers at each batch size, and their memory"),
    Part("service", 100, "the service under load"),
    Part("pinned", 15, "pinned staging, on and off"),
    Part("pair", 25, "two models at once"),
    Part("memory", 25, "out of memory, met and survived"),
)
NAMES = tuple(part.name for part in PARTS)
