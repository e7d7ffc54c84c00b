"""What a request's trace is told, without OpenTelemetry."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from inference.stats import StageTimes
from inference.types import Lane


class Untraced:
    """The trace of a request that has none: it keeps nothing of what it is told."""

    def embeds(self, lane: Lane, models: Collection[str]) -> StageTimes | None:  # noqa: ARG002
        """Note what is asked of the engine. Return what takes the stages' times, if anything."""
        return None

    def answering(self) -> None:
        """Note that the answer begins. Only the first call counts."""

    def answered(self, items: int, failures: Mapping[str, int]) -> None:
        """Note the results. failures: number of failed items by code."""

    def left(self) -> None:
        """Note that the client left before the answer's end."""

    def refused(self, code: str) -> None:
        """Note that the request ends without results."""


UNTRACED = Untraced()
