"""A line that tells how the run goes."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Line

from tests.chaos.image_server import MOODS
from tests.chaos.journal import PROCESSES, WORKER, Journal
from tests.chaos.tally import Tally


class Progress:
    """On a terminal, a bar; elsewhere nothing. Open with `with`."""

    EVERY_S = 0.25

    def __init__(self, seconds: float, console: Console) -> None:
        self._line = Line(
            TextColumn("{task.description}"),
            BarColumn(20),
            TimeRemainingColumn(),
            TextColumn("{task.fields[counts]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._line.add_task("starting", total=seconds, counts="")

    def __enter__(self) -> Progress:
        self._line.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._line.stop()

    def show(self, phase: str, tally: Tally, journal: Journal, wait_s: float) -> None:
        """Say where we are, and wait."""
        requests = tally.group("requests")
        counts = (
            f"{requests.get('answered', 0):,} answered, {requests.get('retried', 0):,} retried, "
            f"{sum(len(journal.spans_s(one)) for one in WORKER)} workers ended, "
            f"{sum(len(journal.spans_s(one)) for one in PROCESSES)} processes killed, "
            f"{sum(len(journal.spans_s(one)) for one in MOODS)} flaps, "
            f"{sum(tally.group('findings').values())} findings"
        )
        time.sleep(wait_s)
        self._line.update(self._task, description=phase, counts=counts, advance=wait_s)
