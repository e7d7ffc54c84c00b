"""The chaos run: workers are killed, then one lives on under load, then all is quiet."""

from __future__ import annotations

import random
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.asking import everything
from tests.chaos.checking import Finding
from tests.chaos.client import Client
from tests.chaos.faults import Loop, beside, end_workers, flap
from tests.chaos.image_server import MoodyServer
from tests.chaos.items import SECRET, catalogue, replies
from tests.chaos.journal import Journal
from tests.chaos.progress import Progress
from tests.chaos.report import Report
from tests.chaos.tally import Tally
from tests.chaos.worker import Held, Service
from tests.e2e.service import started

CLIENTS = 48
# Fewer places than clients, so that some are refused; a fetch that the slow mood can exceed.
OPTIONS = "--backend fake --max-requests 24 --max-items-in-flight 384 --fetch-timeout-ms 3000"
# The run's shares: workers end, the last one warms up, it lives on. So many ends at least.
KILLING, WARMING, LIVING = 0.55, 0.15, 0.3
ENDS, MOST_S_BETWEEN_ENDS = 3, 8.0


class Chaos:
    """One run. seconds: of load; starting and ending come on top."""

    def __init__(self, service: Service, server: MoodyServer, refused_port: int, seed: int) -> None:
        self._service, self._server, self._seed = service, server, seed
        self._journal, self._tally = Journal(), Tally()
        self._catalogue = catalogue(server, refused_port)
        self._turn = 0

    def run(self, seconds: float, progress: Progress) -> tuple[Held, Held]:
        """Load with all faults, and what the last worker held before and after its own share."""
        every_s = min(MOST_S_BETWEEN_ENDS, KILLING * seconds / (ENDS + 1))
        moods = flap(self._server, self._journal, self._dice())
        ends = end_workers(self._service, self._journal, every_s, self._dice())
        self._load("workers are killed", KILLING * seconds, progress, moods, ends)
        self._load("the last worker warms up", WARMING * seconds, progress, moods)
        before = self._service.held()
        self._load("it lives on", LIVING * seconds, progress, moods)
        return before, self._service.held()

    def end_well(self) -> None:
        """With no fault under way, everything is answered as it should be."""
        client = self._client()
        if not client.ask(everything(self._catalogue)):
            self._find("not clean", "the last request was not answered")
        client.close()
        if not self._service.ping():
            self._find("not clean", "the last ping is not 200")
        if in_flight := self._service.in_flight():
            self._find("not clean", f"{in_flight:g} items hold permits that nobody waits for")

    def report(self, seconds: float, before: Held, after: Held, log: str) -> Report:
        """What came of it. log: what the service wrote."""
        for line in after.grown(before):
            self._find("not flat", line)
        for line in log.splitlines():
            if "Traceback" in line:
                self._find("traceback", f"{line[:200]} ... {line[-400:]}")
            if SECRET in line:
                self._find("leaked", line[:500])
        return Report.of(self._tally, self._journal, seconds, self._seed, before, after)

    def _load(self, phase: str, seconds: float, progress: Progress, *faults: Loop) -> None:
        clients = [self._client().run for _ in range(CLIENTS)]
        with beside(*faults), beside(*clients):
            end_s = time.monotonic() + seconds
            while (left_s := end_s - time.monotonic()) > 0:
                progress.show(phase, self._tally, self._journal, min(left_s, Progress.EVERY_S))

    def _client(self) -> Client:
        port, dice = self._service.port, self._dice()
        return Client(port, self._catalogue, self._journal, self._tally, dice)

    def _dice(self) -> random.Random:
        """Others each time, the same in each run of the same seed."""
        self._turn += 1
        return random.Random(f"{self._seed} {self._turn}")

    def _find(self, kind: str, detail: str) -> None:
        self._tally.find([Finding(kind, detail)])


def run(seconds: float, seed: int, progress: Progress) -> Report:
    """Start everything, let chaos reign, and say what came of it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        MoodyServer(replies(), seed) as server,
        _refusing() as refused_port,
    ):
        options = [*OPTIONS.split(), "--allow-host", "127.0.0.1"]
        with started(Path(folder), *options) as running:
            chaos = Chaos(Service(running), server, refused_port, seed)
            start_s = time.monotonic()
            before, after = chaos.run(seconds, progress)
            chaos.end_well()
            took_s = time.monotonic() - start_s
        return chaos.report(took_s, before, after, running.log.read_text())


@contextmanager
def _refusing() -> Iterator[int]:
    """A port that nobody else gets, and where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
