"""The service under test: its worker's process, and what that holds."""

from __future__ import annotations

import http.client
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.service import FORK_SERVER, PREPARING

LOOK_S, SETTLE_S = 0.05, 15.0
# What may be held more after load than before it. Pools of threads and connections fill up by
# chance. The allocator keeps what it had: 230 to 300 MiB, up and down, over 20,000 requests of one
# worker, and to that it may grow in any case, since a short run has no time to get there before.
MORE_MIB, WARM_MIB, MORE_THREADS, MORE_DESCRIPTORS = 64.0, 300.0, 32, 64


@dataclass(frozen=True)
class Held:
    """What a worker holds at one moment."""

    rss_mib: float
    threads: int
    descriptors: int

    def grown(self, before: Held) -> list[str]:
        """What has grown beyond what chance explains, in words."""
        allowed = {
            "rss_mib": max(before.rss_mib + MORE_MIB, WARM_MIB),
            "threads": before.threads + MORE_THREADS,
            "descriptors": before.descriptors + MORE_DESCRIPTORS,
        }
        held = asdict(self)
        return [f"{held[one]} {one}" for one, most in allowed.items() if held[one] > most]


class Service:
    """A started service. running: of `tests.e2e.service`."""

    def __init__(self, running: Any) -> None:
        self._running = running
        self.port: int = running.port

    def end_worker(self, sent: signal.Signals) -> None:
        """End the worker by a signal, and wait until another is ready."""
        pid = self._running.worker()
        os.kill(pid, sent)
        self._running.wait_for_another(pid)

    def kill(self, name: str, dice: random.Random) -> bool:
        """Kill a process of that name. Whether there was one."""
        pids = sorted(pid for pid, one in self._running.processes().items() if one == name)
        if not pids:
            return False
        with suppress(ProcessLookupError):  # it has ended by itself meanwhile
            os.kill(dice.choice(pids), signal.SIGKILL)
        return True

    def processes(self) -> dict[str, int]:
        """How many there are of the fork server and of those that prepare images, by name."""
        names = Counter(self._running.processes().values())
        return {one: names[one] for one in (FORK_SERVER, PREPARING)}

    def ping(self) -> bool:
        """Whether a ping on a connection of its own is answered by 200."""
        try:
            return self._get("/ping")[0] == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False

    def held(self) -> Held:
        """What the worker holds once nothing is in flight and its connections are closed."""
        pid, limit_s = self._running.worker(), time.monotonic() + SETTLE_S
        while self.in_flight() > 0 and time.monotonic() < limit_s:
            time.sleep(LOOK_S)
        status = Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        return Held(
            rss_mib=round(int(fields["VmRSS"].split()[0]) / 1024, 1),
            threads=int(fields["Threads"]),
            descriptors=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        )

    def in_flight(self) -> float:
        """Items that hold permits, by the service's own count."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self._get("/metrics")[1])
            for sample in family.samples
            if sample.name == "sweetspot_items_in_flight"
        )

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()
