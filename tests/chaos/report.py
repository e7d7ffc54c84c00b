"""What came of a run: for people a table, for machines a document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from tests.chaos.image_server import MOODS
from tests.chaos.journal import DRAIN, KILL, Journal
from tests.chaos.tally import Tally
from tests.chaos.worker import Held

# Shown even when there are none: what the run is for.
FINDINGS = ("wrong", "missing", "swapped", "hang", "unexplained", "broken")


@dataclass(frozen=True)
class Report:
    """Counts by name. examples: the first findings in words. back_s: from a worker's end to 200."""

    seconds: float
    seed: int
    requests: dict[str, int]
    items: dict[str, int]
    unanswered: dict[str, int]
    disconnects: dict[str, int]
    moods: dict[str, int]
    kills: int
    drains: int
    back_s: list[float]
    before: Held
    after: Held
    findings: dict[str, int]
    examples: list[str]

    @classmethod
    def of(
        cls, tally: Tally, journal: Journal, seconds: float, seed: int, before: Held, after: Held
    ) -> Report:
        """Of a run that has ended."""
        return cls(
            seconds=round(seconds, 1),
            seed=seed,
            **{one: tally.group(one) for one in ("requests", "items", "unanswered", "disconnects")},
            moods={mood: len(journal.spans_s(mood)) for mood in MOODS},
            kills=len(journal.spans_s(KILL)),
            drains=len(journal.spans_s(DRAIN)),
            back_s=[round(one, 2) for one in journal.spans_s(KILL)],
            before=before,
            after=after,
            findings=dict.fromkeys(FINDINGS, 0) | tally.group("findings"),
            examples=tally.examples,
        )

    @property
    def good(self) -> bool:
        """Whether nothing was found, and there was something to find it in."""
        tried = self.items.get("embedding") and self.kills and any(self.moods.values())
        return bool(tried) and not any(self.findings.values())

    def document(self) -> dict[str, Any]:
        """For machines."""
        return {"good": self.good, **asdict(self)}

    def table(self) -> Table:
        """For people."""
        style = "green" if self.good else "bold red"
        rows = {
            "requests": _counts(self.requests),
            "items by result": _counts(self.items),
            "tries without an answer": _counts(self.unanswered),
            "clients that left": _counts(self.disconnects),
            "flaps of the image server": _counts(self.moods),
            "workers ended": f"killed {self.kills}, drained {self.drains}",
            "back after, s": " ".join(f"{one:g}" for one in self.back_s),
            **{f"last worker, {name}": change for name, change in self._changes()},
            "findings": f"[{style}]{_counts(self.findings)}[/]",
        }
        table = Table("what", "came of it", title=f"{self.seconds:.0f} s of chaos")
        for row in rows.items():
            table.add_row(*row)
        return table

    def _changes(self) -> Iterator[tuple[str, str]]:
        after = asdict(self.after)
        for name, before in asdict(self.before).items():
            yield name, f"{before:g} -> {after[name]:g}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
