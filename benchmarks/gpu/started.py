"""`sweetspot serve` in a process of its own, on a free port, and thumbnail servers for it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import requests

from serve.benchmark.endpoint_load.thumbnails import served

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
STOP_S, LOOK_S = 15.0, 0.05
LOG_CHARS = 3000


@dataclass(frozen=True)
class Service:
    """A running service. pid: of gunicorn's master. ready_s: from start to the first 200."""

    url: str
    pid: int
    ready_s: float
    log: Path


@contextmanager
def serving(options: Sequence[str], log: Path, timeout_s: float) -> Iterator[Service]:
    """Start, wait until it is ready, stop. Raises RuntimeError with the end of its log.

    The service stays in our process group, so that killing this part also kills the service.
    """
    port = _free_port()
    address = ["--host", HOST, "--port", str(port), "--allow-host", HOST]
    command = [sys.executable, "-m", "sweetspot", "serve", *address, *options]
    with log.open("wb") as file:
        start_s = time.monotonic()
        process = subprocess.Popen(command, cwd=ROOT, env=_direct(), stdout=file, stderr=file)
    try:
        url = f"http://{HOST}:{port}"
        _wait(process, url, log, start_s + timeout_s)
        yield Service(url, process.pid, time.monotonic() - start_s, log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def thumbnails(servers: int, pictures: int, latency_ms: float) -> Iterator[list[str]]:
    """Yield URLs of several thumbnail servers: one process is slower than a card."""
    with ExitStack() as stack, ThreadPoolExecutor(servers) as pool:
        drawn = [served(pictures, latency_ms) for _ in range(servers)]
        lists = list(pool.map(stack.enter_context, drawn))
        yield list(chain.from_iterable(zip(*lists, strict=True)))


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _direct() -> dict[str, str]:
    """Return the environment without proxies, for requests to loopback."""
    return {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}


def _wait(process: subprocess.Popen[bytes], url: str, log: Path, until_s: float) -> None:
    while time.monotonic() < until_s and process.poll() is None:
        try:
            if requests.get(f"{url}/ping", timeout=5).status_code == requests.codes.ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(LOOK_S)
    raise RuntimeError(f"the service is not ready: {log.read_text(errors='replace')[-LOG_CHARS:]}")
