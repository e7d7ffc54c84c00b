"""Plan of a run, inputs and results of its parts. Picklable: parts run in another process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Numbers = dict[str, Any]
Note = Callable[[Numbers], None]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Plan:
    """A run. device: to measure. quick: a tiny model, takes seconds. folder: for models."""

    device: Literal["cuda", "cpu"]
    quick: bool
    folder: Path

    @property
    def models(self) -> tuple[str, ...]:
        """Models whose precision and curve are measured; the service runs the first."""
        return ("tiny",) if self.quick else ("vit-b-32", "vit-l-14")

    @property
    def twin(self) -> str:
        """A second model like the first, with other weights."""
        return f"{self.models[0]}-twin"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Batch sizes of the latency curve."""
        return (1, 2, 4) if self.quick else tuple(2**power for power in range(10))


@dataclass(frozen=True)
class Found:
    """Result of a part. headline: for the table. problems: failed checks, in words."""

    numbers: Numbers = field(default_factory=dict)
    headline: str = ""
    problems: tuple[str, ...] = ()


class Skipped(Exception):
    """A part cannot run on this machine. The message says why."""


class Box:
    """Time limit of a part, and the callback for its intermediate numbers."""

    def __init__(
        self, seconds: float, note: Note = lambda _: None, clock: Clock = time.monotonic
    ) -> None:
        self._end_s, self._clock = clock() + seconds, clock
        self.note = note

    @property
    def left_s(self) -> float:
        """Seconds until the part is killed; at least 0."""
        return max(0.0, self._end_s - self._clock())

    def share(self, parts: int) -> Box:
        """Return a box with an equal share of the remaining time."""
        return Box(self.left_s / parts, self.note, self._clock)


Run = Callable[[Plan, Box], Found]


@dataclass(frozen=True)
class Ended:
    """How a part ended. state: ok, failed, skipped, out of time, died. error: a traceback."""

    state: str
    seconds: float
    found: Found = Found()
    error: str = ""

    def as_dict(self) -> Numbers:
        """Return the value for JSON."""
        return {
            "state": self.state,
            "seconds": round(self.seconds, 2),
            "headline": self.found.headline,
            "problems": list(self.found.problems),
            "error": self.error,
            "numbers": self.found.numbers,
        }


def of_found(found: Found, seconds: float) -> Ended:
    """Return the end of a completed part: failed if it found problems."""
    return Ended("failed" if found.problems else "ok", seconds, found)


def first_line(error: str) -> str:
    """Return the last line of a traceback: the exception."""
    return error.strip().splitlines()[-1] if error.strip() else ""


def rounded(values: Mapping[str, float | None], digits: int = 3) -> Numbers:
    """Round values for the record; None stays None."""
    return {k: None if value is None else round(value, digits) for k, value in values.items()}
