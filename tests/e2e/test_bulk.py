"""A job that is killed at any moment ends as one that was not."""

import json
import math
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from serve.commands.bulk.embedding.worker import UNSAVED_ROWS
from tests.bulk_jobs import (
    FLAGS,
    counting,
    kept,
    paths_of,
    rows,
    run,
    timeless,
    wait_for_requests,
    write_urls,
)  # fmt: skip

COUNT, PER_PART = 640, 320


@pytest.fixture
def server():
    with counting() as one:
        yield one
        one.go_on.set()


@pytest.fixture
def urls(server, tmp_path):
    return write_urls(tmp_path / "urls.txt", server, COUNT)


def start(*args):
    command = [sys.executable, "-m", "sweetspot", "bulk", *map(str, args), *FLAGS, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition, process):
    """Wait until it holds, or the process ended."""
    while not condition() and process.poll() is None:
        time.sleep(0.005)


def test_killed_before_rows_are_saved_then_after_and_then_after_a_part(server, urls, tmp_path):
    """No row that was written or saved before a kill is embedded again."""
    out, flags = tmp_path / "killed", ["--rows-per-part", PER_PART]
    run(urls, "-o", tmp_path / "whole", *flags)
    wanted = timeless(rows(tmp_path / "whole"))

    found = []
    for answered, moment in (
        (100, lambda: len(server.asked_s) >= server.answered),
        # Of the first part; rows in flight may be of the next.
        (PER_PART - 30, lambda: any(out.glob("_open/part-*/*.arrow"))),
        (math.inf, lambda: any(out.glob("part-*.parquet"))),
    ):
        server.answered = len(server.asked_s) + answered
        process = start(urls, "-o", out, *flags)
        wait_for(moment, process)
        process.kill()
        process.communicate()
        server.go_on.set()
        server.go_on = threading.Event()
        found.append((kept(out, urls, PER_PART), server.asked.copy()))
    process = start(urls, "-o", out, *flags)
    said, err = process.communicate()
    assert process.returncode == 0, err
    assert timeless(rows(out)) == wanted
    assert json.loads(said)["rows"] == COUNT
    sizes = [len(paths) for paths, _ in found]
    assert sizes[0] == 0 < UNSAVED_ROWS // 2 < sizes[1] <= sizes[2]
    for paths, asked in found:
        assert [path for path in paths if server.asked[path] > asked[path]] == []


def test_killed_while_readers_and_another_run_are_there(server, urls, tmp_path):
    import lancedb  # takes long

    out, flags = tmp_path / "out", ["--rows-per-part", 100, "--format", "lance"]
    server.answered = COUNT // 2
    process = start(urls, "-o", out, *flags)
    wait_for_requests(server, COUNT // 2, process)
    table = lancedb.connect(out).open_table("embeddings")
    assert 0 < table.count_rows() < COUNT
    code, _, printed = run(urls, "-o", out, *flags)
    holder = f"process {process.pid} on {socket.gethostname()}"
    assert (code, printed) == (1, f"Error: another run works on {out}: {holder}\n")
    process.kill()
    process.communicate()
    server.go_on.set()
    table.checkout_latest()
    written = paths_of(table.search().select(["url"]).to_arrow()["url"].to_pylist())
    before = server.asked.copy()
    assert run(urls, "-o", out, *flags)[1]["rows"] == COUNT
    assert [path for path in written if server.asked[path] > before[path]] == []
    table.checkout_latest()
    ids = table.search().select(["id"]).to_arrow()["id"].to_pylist()
    assert sorted(ids) == sorted(f"urls.txt#{row}" for row in range(COUNT))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_is_done(server, urls, tmp_path, sent):
    out, server.answered = tmp_path / "out", 400
    process = start(urls, "-o", out)
    wait_for_requests(server, 400, process)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == f"interrupted: what is done is in {out}; the same command goes on\n"
    server.go_on.set()
    done, before = kept(out, urls, COUNT), server.asked.copy()
    assert len(done) > UNSAVED_ROWS
    summary = run(urls, "-o", out)[1]
    assert summary["rows"] == COUNT
    assert summary["failures"].keys() == {"fetch_http_status"}
    assert [path for path in done if server.asked[path] > before[path]] == []
