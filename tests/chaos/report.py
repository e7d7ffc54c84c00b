"""What came of a run: for people a table, for machines a document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from tests.chaos.image_server import MOODS
from tests.chaos.journal import DRAIN, FORK, KILL, PROCESS, Journal
from tests.chaos.tally import Tally
from tests.chaos.worker import Held

# Shown even when there are none: what the run is for.
FINDINGS = ("wrong", "missing", "swapped", "hang", "unexplained", "broken")


@dataclass(frozen=True)
class Report:
    """Counts by name. examples: the first findings in words. back_s: from a worker's end to 200.

    processes: that prepare images, 0 for threads. ending: results of pictures that end a process.
    """

    seconds: float
    seed: int
    processes: int
    requests: dict[str, int]
    items: dict[str, int]
    ending: dict[str, int]
    unanswered: dict[str, int]
    disconnects: dict[str, int]
    moods: dict[str, int]
    processes_killed: dict[str, int]
    kills: int
    drains: int
    back_s: list[float]
    before: Held
    after: Held
    findings: dict[str, int]
    examples: list[str]

    @classmethod
    def of(cls, tally: Tally, journal: Journal, held: tuple[Held, Held], **facts: Any) -> Report:
        """Of a run that has ended. held: before and after. facts: seconds, seed and processes."""
        groups = ("requests", "items", "ending", "unanswered", "disconnects")
        facts |= {one: tally.group(one) for one in groups}
        return cls(
            **facts,
            processes_killed={one: len(journal.spans_s(one)) for one in (PROCESS, FORK)},
            moods={mood: len(journal.spans_s(mood)) for mood in MOODS},
            kills=len(journal.spans_s(KILL)),
            drains=len(journal.spans_s(DRAIN)),
            back_s=[round(one, 2) for one in journal.spans_s(KILL)],
            before=held[0],
            after=held[1],
            findings=dict.fromkeys(FINDINGS, 0) | tally.group("findings"),
            examples=tally.examples,
        )

    @property
    def good(self) -> bool:
        """Whether nothing was found, and there was something to find it in."""
        tried = [self.items.get("embedding"), self.kills, any(self.moods.values())]
        if self.processes:
            tried += [self.ending.get("decode_corrupt"), self.processes_killed[PROCESS]]
        return all(tried) and not any(self.findings.values())

    def document(self) -> dict[str, Any]:
        """For machines."""
        return {"good": self.good, **asdict(self)}

    def table(self) -> Table:
        """For people."""
        style = "green" if self.good else "bold red"
        rows = {
            "requests": _counts(self.requests),
            "items": f"{sum(self.items.values()):,}",
            "items by result": _counts(self.items),
            "pictures that end a process": _counts(self.ending),
            "tries without an answer": _counts(self.unanswered),
            "clients that left": _counts(self.disconnects),
            "flaps of the image server": _counts(self.moods),
            "workers ended": f"killed {self.kills}, drained {self.drains}",
            f"of {self.processes} processes": _counts(self.processes_killed),
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
