"""What a run measures, and what its parts give and are given. Picklable: parts run elsewhere."""

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
    """A run. device: the one that is measured. quick: a tiny model, seconds. folder: for models."""

    device: Literal["cuda", "cpu"]
    quick: bool
    folder: Path

    @property
    def models(self) -> tuple[str, ...]:
        """Those whose precision and curve are measured; the first is served, too."""
        return ("tiny",) if self.quick else ("vit-b-32", "vit-l-14")

    @property
    def twin(self) -> str:
        """A second model like the first, of other weights."""
        return f"{self.models[0]}-twin"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Batch sizes of the latency curve."""
        return (1, 2, 4) if self.quick else tuple(2**power for power in range(10))


@dataclass(frozen=True)
class Found:
    """What a part came to. headline: for the table. problems: what must not be, in words."""

    numbers: Numbers = field(default_factory=dict)
    headline: str = ""
    problems: tuple[str, ...] = ()


class Skipped(Exception):
    """A part makes no sense here. The message says why."""


class Box:
    """The time that a part has, and whom it tells of numbers that are there already."""

    def __init__(
        self, seconds: float, note: Note = lambda _: None, clock: Clock = time.monotonic
    ) -> None:
        self._end_s, self._clock = clock() + seconds, clock
        self.note = note

    @property
    def left_s(self) -> float:
        """Until the part is ended from outside; never less than 0."""
        return max(0.0, self._end_s - self._clock())

    def share(self, parts: int) -> Box:
        """A box of an equal part of the time that is left."""
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
        """For JSON."""
        return {
            "state": self.state,
            "seconds": round(self.seconds, 2),
            "headline": self.found.headline,
            "problems": list(self.found.problems),
            "error": self.error,
            "numbers": self.found.numbers,
        }


def of_found(found: Found, seconds: float) -> Ended:
    """A part that came to its end: failed, where it found what must not be."""
    return Ended("failed" if found.problems else "ok", seconds, found)


def first_line(error: str) -> str:
    """The last line of a traceback: what was raised."""
    return error.strip().splitlines()[-1] if error.strip() else ""


def rounded(values: Mapping[str, float | None], digits: int = 3) -> Numbers:
    """For the record."""
    return {k: None if value is None else round(value, digits) for k, value in values.items()}
