"""The chaos run: workers are killed, then one lives on under load, then all is quiet.

Processes that prepare images are killed all the time, and pictures end them, too.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.asking import everything
from tests.chaos.checking import Finding
from tests.chaos.client import Client
from tests.chaos.faults import Loop, beside, end_workers, flap, kill_processes
from tests.chaos.image_server import MoodyServer
from tests.chaos.items import SECRET, catalogue, replies
from tests.chaos.journal import Journal
from tests.chaos.progress import Progress
from tests.chaos.report import Report
from tests.chaos.tally import Tally
from tests.chaos.worker import Held, Service
from tests.e2e.service import FORK_SERVER, PREPARING, started
from tests.ports import refusing

CLIENTS = 48
# Fewer places than clients, so that some are refused; a fetch that the slow mood can exceed.
PROGRAM = ("tests.e2e.faulty",)
OPTIONS = "--backend fake --max-requests 24 --max-items-in-flight 384 --fetch-timeout-ms 3000"
# The run's shares: workers end, the last one warms up, it lives on. So many ends at least.
KILLING, WARMING, LIVING = 0.55, 0.15, 0.3
ENDS, MOST_S_BETWEEN_ENDS = 3, 8.0
# Shown of one that no logger has written.
TRACEBACK_LINES = 30
# For all processes to be there again, or to be gone.
SETTLE_S = 10.0


class Chaos:
    """One run. seconds: of load; starting and ending come on top."""

    def __init__(
        self, service: Service, server: MoodyServer, nobody: str, seed: int, processes: int
    ) -> None:
        self._service, self._server = service, server
        self._seed, self._processes = seed, processes
        self._journal, self._tally = Journal(), Tally()
        self._catalogue = catalogue(server, nobody, processes)
        self._turn = 0

    def run(self, seconds: float, progress: Progress) -> tuple[Held, Held]:
        """Load with all faults, and what the last worker held before and after its own share."""
        every_s = min(MOST_S_BETWEEN_ENDS, KILLING * seconds / (ENDS + 1))
        moods = flap(self._server, self._journal, self._dice())
        ends = end_workers(self._service, self._journal, every_s, self._dice())
        kills = kill_processes(self._service, self._journal, self._dice())
        self._load("workers are killed", KILLING * seconds, progress, moods, kills, ends)
        self._load("the last worker warms up", WARMING * seconds, progress, moods, kills)
        before = self._service.held()
        self._load("it lives on", LIVING * seconds, progress, moods, kills)
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
        expected = {FORK_SERVER: min(self._processes, 1), PREPARING: self._processes}
        if not settles(lambda: self._service.processes() == expected):
            self._find("not clean", f"processes: {self._service.processes()}")

    def end(self) -> None:
        """After the service has ended, none of its processes is left."""
        if not settles(lambda: not any(self._service.processes().values())):
            self._find("left behind", str(self._service.processes()))

    def report(self, seconds: float, held: tuple[Held, Held], log: str) -> Report:
        """What came of it. held: before and after. log: what the service wrote."""
        for line in held[1].grown(held[0]):
            self._find("not flat", line)
        lines = log.splitlines()
        for number, line in enumerate(lines):
            if "Traceback" in line:
                rest = "\n".join(
                    one for one in lines[number + 1 :][:TRACEBACK_LINES] if one[:1] != "{"
                )
                self._find("traceback", f"{line[:200]} ... {line[-400:]}\n{rest}")
            if SECRET in line:
                self._find("leaked", line[:500])
        facts = {"seconds": seconds, "seed": self._seed, "processes": self._processes}
        return Report.of(self._tally, self._journal, held, **facts)

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


def settles(is_so: Callable[[], bool]) -> bool:
    """Whether something becomes true."""
    limit_s = time.monotonic() + SETTLE_S
    while not is_so() and time.monotonic() < limit_s:
        time.sleep(0.1)
    return is_so()


def run(seconds: float, seed: int, processes: int, progress: Progress) -> Report:
    """Start everything, let chaos reign, and say what came of it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        MoodyServer(replies(), seed) as server,
        refusing() as nobody,
    ):
        options = [*OPTIONS.split(), "--preprocess-processes", str(processes)]
        with started(Path(folder), *options, program=PROGRAM) as running:
            chaos = Chaos(Service(running), server, nobody, seed, processes)
            start_s = time.monotonic()
            held = chaos.run(seconds, progress)
            chaos.end_well()
            took_s = round(time.monotonic() - start_s, 1)
        chaos.end()
        return chaos.report(took_s, held, running.log.read_text())
