"""Running containers: start, requests, stop."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import urllib3

from benchmarks.containers.container import QUIET, Container, Site
from benchmarks.containers.processes import cpu_s, peak_mib
from inference.loadtest.summary import RequestFailed
from tests.e2e.service import without_proxies
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
START_TIMEOUT_S, STOP_TIMEOUT_S, ASK_TIMEOUT_S = 180.0, 10.0, 120.0
LOOK_S = 0.02
CONNECTIONS = 8
OK = 200


class LeftOut(Exception):
    """A container cannot be measured; the message says why."""


class Running:
    """A container that answers. ready_s: from the start of its process to its first 200."""

    def __init__(self, container: Container, site: Site, process: subprocess.Popen[bytes]) -> None:
        self.container, self.process, self.ready_s = container, process, 0.0
        self.url = f"http://{HOST}:{site.port}"
        timeout = urllib3.Timeout(connect=5.0, read=ASK_TIMEOUT_S)
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, retries=False, timeout=timeout)

    @property
    def cpu_s(self) -> float:
        """Its processor time so far, s."""
        return cpu_s(self.process.pid)

    @property
    def peak_mib(self) -> float:
        """Its peak resident memory, MiB."""
        return peak_mib(self.process.pid)

    def embed(self, urls: Sequence[str]) -> list[list[float] | None]:
        """Return embeddings, None for failed items. Raises RequestFailed."""
        answer = self.post(orjson.dumps(self.container.ask(urls)), "application/json")
        return self.container.answer(answer)

    def post(self, body: bytes, content_type: str) -> Any:
        """Send a request and return the JSON of the answer. Raises RequestFailed."""
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        url = self.url + self.container.path
        try:
            reply = self._pool.request("POST", url, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as exc:
            raise RequestFailed("broken", str(exc)) from exc
        if reply.status != OK:
            raise RequestFailed(f"http_{reply.status}", reply.data.decode(errors="replace")[:300])
        return orjson.loads(reply.data)

    def is_ready(self) -> bool:
        """Return whether the readiness path answers 200."""
        try:
            return self._pool.request("GET", self.url + self.container.ready_path).status == OK
        except urllib3.exceptions.HTTPError:
            return False

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Let the container run; outside, one that polls is stopped and takes no processor time."""
        self.wake()
        try:
            yield
        finally:
            self.sleep()

    def wake(self) -> None:
        """Continue the process."""
        _signal(self.process, signal.SIGCONT)

    def sleep(self) -> None:
        """Suspend the process, if it polls."""
        if self.container.polls:
            _signal(self.process, signal.SIGSTOP)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()


@contextmanager
def up(container: Container, python: Path, model: Path, logs: Path) -> Iterator[Running]:
    """Start a container, yield it when it is ready, and end its processes. Raises LeftOut."""
    site = Site(python, model, free_port())
    log = logs / f"{container.name}.log"
    start_s = time.perf_counter()
    with log.open("wb") as file:
        process = subprocess.Popen(
            container.command(site),
            cwd=ROOT,
            env=without_proxies() | QUIET | dict(container.environ(site)),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    running = Running(container, site, process)
    try:
        _wait(running, log)
        running.ready_s = time.perf_counter() - start_s
        yield running
    finally:
        running.wake()
        running.close()
        _stop(process)


def last_words(log: Path) -> str:
    """Return the last non-blank line of a log."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "its log is empty"


def _wait(running: Running, log: Path) -> None:
    limit_s = time.monotonic() + START_TIMEOUT_S
    while not running.is_ready():
        if running.process.poll() is not None:
            raise LeftOut(f"it does not start: {last_words(log)}")
        if time.monotonic() > limit_s:
            raise LeftOut(f"not ready after {START_TIMEOUT_S:.0f} s: {last_words(log)}")
        time.sleep(LOOK_S)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to the process group, then SIGKILL after STOP_TIMEOUT_S."""
    _signal(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT_S)
    _signal(process, signal.SIGKILL)  # workers that outlive their parent, too
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
