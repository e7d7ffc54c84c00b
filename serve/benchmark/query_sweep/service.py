"""Starts `sweetspot serve` with one setting, and stops it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import click
import urllib3
from urllib3.exceptions import HTTPError

HOST = "127.0.0.1"
# A large model without a profile is converted and tuned first.
START_TIMEOUT_S, STOP_TIMEOUT_S, PING_TIMEOUT_S = 900.0, 30.0, 10.0
LOOK_S = 0.05
OK = 200
LAST_BYTES, LAST_CHARS = 65_536, 400

Process = subprocess.Popen[bytes]


@contextmanager
def started(wait_ms: int, options: Sequence[str]) -> Iterator[str]:
    """Start a service on a free port, and yield its URL when it is ready.

    Args:
        wait_ms: its `--interactive-wait-ms`.
        options: further options of `sweetspot serve`. Variables are inherited.

    Raises:
        click.ClickException: it does not start; the message has its last line.
    """
    port = _free_port()
    ours = ("--host", HOST, "--port", str(port), "--allow-host", HOST)
    command = [sys.executable, "-m", "sweetspot", "serve", *options, *ours]
    with tempfile.TemporaryFile() as log:
        # Its own session keeps Ctrl-C away from it.
        process = subprocess.Popen(  # noqa: S603 - this program, with the user's own options
            [*command, "--interactive-wait-ms", str(wait_ms)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            url = f"http://{HOST}:{port}"
            _wait_until_ready(process, url, log)
            yield url
        finally:
            _stop(process)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_until_ready(process: Process, url: str, log: BinaryIO) -> None:
    limit_s = time.monotonic() + START_TIMEOUT_S
    with urllib3.PoolManager(retries=False, timeout=PING_TIMEOUT_S) as pool:
        while not _is_ready(pool, url):
            if process.poll() is not None:
                raise click.ClickException(f"the service did not start: {_last_line(log)}")
            if time.monotonic() > limit_s:
                raise click.ClickException(f"the service is not ready after {START_TIMEOUT_S:g} s")
            time.sleep(LOOK_S)


def _is_ready(pool: urllib3.PoolManager, url: str) -> bool:
    try:
        return pool.request("GET", f"{url}/ping").status == OK
    except HTTPError:
        return False


def _stop(process: Process) -> None:
    """End the service, and all of its session if it takes too long."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_line(log: BinaryIO) -> str:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - LAST_BYTES))
    lines = log.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
    return lines[-1][:LAST_CHARS]
