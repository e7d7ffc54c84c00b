"""A job on a real Ray runtime of two nodes. What it loses nothing by: tests/chaos/bulk.py."""

import json
import re
import signal
import subprocess
import sys

import pytest

from tests.bulk_jobs import FLAGS, counting, rows, run, wait_for_requests, write_urls
from tests.chaos.bulk import cluster, compare

COUNT, PER_PART = 600, 100


@pytest.fixture(scope="module")
def nodes():
    with cluster() as found:
        yield found


@pytest.fixture
def server():
    with counting() as one:
        yield one
        one.go_on.set()


@pytest.fixture
def urls(server, tmp_path):
    return write_urls(tmp_path / "urls.txt", server, COUNT)


def start(nodes, *args):
    ray = ["--engine", "ray", "--ray-address", nodes.address]
    flags = [*args, *ray, "--rows-per-part", PER_PART, "--json", *FLAGS]
    command = [sys.executable, "-m", "sweetspot", "bulk", *map(str, flags)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told(err):
    """What was said but for the progress, which is said where Ray takes long to start."""
    return [line for line in err.splitlines() if not re.match(r"[\d,]+ of [\d,]+ rows, ", line)]


def test_a_signal_keeps_what_is_done_and_rows_are_those_of_a_local_job(
    server, nodes, urls, tmp_path
):
    """The job on Ray writes Lance, the other Parquet."""
    run(urls, "-o", tmp_path / "local", "--rows-per-part", PER_PART)
    server.answered = len(server.asked_s) + 300
    process = start(nodes, urls, "-o", tmp_path / "ray", "--format", "lance")
    wait_for_requests(server, 300, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 130
    kept = f"interrupted: what is done is in {tmp_path / 'ray'}; the same command goes on"
    assert told(err) == [kept]
    server.go_on.set()
    before = server.requests
    process = start(nodes, urls, "-o", tmp_path / "ray", "--format", "lance")
    out, err = process.communicate(timeout=600)
    assert (process.returncode, told(err)) == (0, [])
    assert json.loads(out)["rows"] == COUNT
    assert server.requests - before < COUNT
    compare(rows(tmp_path / "ray"), rows(tmp_path / "local"))


def test_a_cluster_that_is_not_there_is_named(urls, tmp_path):
    flags = ["--engine", "ray", "--ray-address", "127.0.0.1:1"]
    code, _, printed = run(urls, "-o", tmp_path / "ray", *flags)
    assert code == 1
    assert printed.startswith("Error: no Ray cluster at 127.0.0.1:1: ")
    assert printed.count("\n") == 1
