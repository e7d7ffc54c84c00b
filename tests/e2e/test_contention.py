"""A busy process beside the real service: reported once, and its end, too."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from inference.loadtest.thumbnail_server import ThumbnailServer
from tests.e2e.service import started

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not Path("/proc/stat").exists(), reason="Linux says who is busy"),
]


@contextmanager
def busy():
    """A process a core that does nothing else."""
    spin = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(spin) for _ in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def load(service, thumbnails):
    """A caller that asks for batches of pictures, one after the other."""
    ended = threading.Event()

    def ask():
        seed = 0
        while not ended.is_set():
            urls = [thumbnails.url(f"/{seed + number}.jpg") for number in range(64)]
            assert service.invoke({"urls": urls}).status_code == 200
            seed += 64

    caller = threading.Thread(target=ask)
    caller.start()
    try:
        yield
    finally:
        ended.set()
        caller.join()


def said(service):
    """What the log says so far: levels and words."""
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line[:1] == "{"]
    return [(one["level"], one["message"]) for one in lines]


def changes(service):
    """Return the log messages about CPU time: levels and words."""
    return [(level, words) for level, words in said(service) if "CPU time" in words]


def wait_for(service, count, seconds=60):
    """Until the log has that many changes."""
    limit_s = time.monotonic() + seconds
    while len(changes(service)) < count:
        assert time.monotonic() < limit_s, service.log.read_text()[-2000:]
        time.sleep(0.5)


def test_a_busy_process_is_reported_and_its_end_too(tmp_path):
    with started(tmp_path) as service, ThumbnailServer() as server, load(service, server):
        time.sleep(20)  # what is usual here
        assert {level for level, _ in said(service)} == {"INFO"}
        with busy():
            wait_for(service, 1)
        wait_for(service, 2)
    (begun, ended) = changes(service)
    assert begun[0] == "WARNING"
    assert "other processes use" in begun[1]
    assert "sweetspot benchmark encoder" in begun[1]
    assert ended == ("INFO", "image batches have enough CPU time again")
