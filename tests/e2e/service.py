"""The real service in a process of its own, on a free port."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
# The names of the fork server and of the processes that prepare images.
FORK_SERVER, PREPARING = "sweetspot-fork", "sweetspot-prep"


class Running:
    """A started `sweetspot serve` and how to speak with it."""

    def __init__(self, process, port, log):
        self.process, self.port, self.log = process, port, log
        self.session = requests.Session()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def ping(self):
        return self.session.get(self.url("/ping"), timeout=60)

    def invoke(self, body, **options):
        return self.session.post(self.url("/invocations"), json=body, timeout=60, **options)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def worker(self):
        """The process id of gunicorn's worker; None between two."""
        master = self.process.pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return int(children[0]) if children else None

    def processes(self):
        """Names by process id: gunicorn's two, the fork server, those that prepare images."""
        return processes_of(self.process.pid)

    def wait_for_another(self, before):
        """Until a worker process other than `before` is ready."""
        limit_s = time.monotonic() + 180
        while self.worker() in {None, before}:
            assert time.monotonic() < limit_s
            time.sleep(0.05)
        self.wait_until_ready()

    def wait_until_ready(self, seconds=180):
        limit_s = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None, f"it ended: {self.log.read_text()}"
            assert time.monotonic() < limit_s, f"not ready: {self.log.read_text()}"
            # On connections of their own. A refused one keeps its session's pool alive until the
            # garbage collector runs, and a service that is stopped waits 2 s for a kept connection.
            with suppress(requests.ConnectionError, requests.Timeout):
                if requests.get(self.url("/ping"), timeout=10).status_code == 200:
                    return self
            time.sleep(0.02)


def processes_of(session):
    """The names of the processes of a session by id, without those that have ended."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            _, name, state = re.split(r" \(|\) ", (folder / "stat").read_text(), maxsplit=2)
            if os.getsid(int(folder.name)) == session and state[0] not in "ZX":
                found[int(folder.name)] = name
    return found


def command(*arguments):
    return [sys.executable, "-m", "sweetspot", *arguments]


def without_proxies() -> dict[str, str]:
    """This process's environment, so that loopback is asked directly."""
    return {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}


@contextmanager
def on_one_core():
    """Processes that are started have one core: one thread plan a way, and no others to measure."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def started(folder, *arguments, ready=True, program=("sweetspot", "serve"), port=None, **options):
    """Start, hand over, and make sure that nothing is left behind. options: of Popen."""
    port, log = port or free_port(), folder / "serve.log"
    address = ("--port", str(port), "--allow-host", "127.0.0.1")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *program, *address, *arguments],
            cwd=ROOT,
            start_new_session=True,
            **{"env": without_proxies(), "stdout": file, "stderr": file} | options,
        )
    running = Running(process, port, log)
    try:
        yield running.wait_until_ready() if ready else running
    finally:
        running.session.close()
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
