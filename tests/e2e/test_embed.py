"""`sweetspot embed` in a process of its own: what it writes, and what it leaves behind."""

import fcntl
import io
import json
import mmap
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from model.backends.fake import FakeEncoder
from serve.cli import embed
from sweetspot import main
from tests.e2e.service import (
    FORK_SERVER,
    PREPARING,
    ROOT,
    command,
    processes_of,
    without_proxies,
)
from tests.images import png

QUICK = 30
SIGNALS = (signal.SIGINT, signal.SIGTERM)
WORDS = ("embed", "--backend", "fake", "--allow-host", "127.0.0.1", "--fetch-timeout-ms", "60000")


def ran(*words, given=None, **options):
    """Run to the end. given: standard input."""
    return subprocess.run(
        command(*WORDS, *map(str, words)),
        cwd=ROOT,
        env=without_proxies(),
        input=given,
        capture_output=True,
        **options,
    )


def ran_here(*words):
    """Run to the end in this process."""
    return CliRunner().invoke(main, [*WORDS, *map(str, words)])


@contextmanager
def running(*words, python=(), backend=WORDS, **options):
    """A process with pipes on all ends, which is gone in the end."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(
        [sys.executable, *python, "-m", "sweetspot", *backend, *map(str, words)],
        cwd=ROOT,
        **{"env": without_proxies()} | pipes | options,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(condition):
    limit_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit_s
        time.sleep(0.01)


def ended(process):
    """Its exit code and the last line it said."""
    code = process.wait(60)
    said = process.stderr.read().decode()
    assert "Traceback" not in said
    assert "Fatal" not in said
    return code, said.splitlines()[-1] if said else ""


def rows_of(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def has_rows(folder, count):
    """Whether a file that is being written holds so many rows."""
    return lambda: sum(one.read_bytes().count(b"\n") for one in folder.glob(".writing-*")) >= count


def codes(rows):
    return [row["error"]["code"] if "error" in row else None for row in rows]


def test_a_model_that_is_not_there_leaves_the_old_file(tmp_path):
    kept = tmp_path / "keep.npy"
    kept.write_bytes(b"embeddings of last week")
    found = ran_here("--text", "a", "--backend", "auto", "--model", "./nosuch", "-o", kept)
    assert found.exit_code == 1
    assert kept.read_bytes() == b"embeddings of last week"
    assert list(tmp_path.iterdir()) == [kept]


def test_each_input_has_its_row_and_files_fail_by_a_code_of_their_own(tmp_path, way):
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "page.png").write_bytes(b"<html>")
    names = [tmp_path / name for name in ("a.png", "nosuch.png", "page.png")]
    found = ran(*names, "--text", "a form", "--format", "jsonl", *way)
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    assert [row["id"] for row in rows] == [*map(str, names), "a form"]
    assert codes(rows) == [None, "file_unreadable", "decode_unsupported", None]
    assert "No such file" in rows[1]["error"]["message"]
    assert found.stderr.decode() == "2 of 4 items failed\n"
    assert found.returncode == 1


@pytest.mark.parametrize("to_file", [False, True], ids=["stdout", "file"])
def test_an_npy_file_is_numpys_own(tmp_path, to_file):
    path = tmp_path / "out.npy"
    words = ["--text", "a", "nosuch.png", "--text", "b", "--format", "npy"]
    found = ran(*words, *(("-o", path) if to_file else ()))
    vectors, _ = FakeEncoder().encode_texts(["a", "b"])
    expected = io.BytesIO()
    np.save(expected, np.concatenate([np.full((1, 16), np.nan, np.float32), vectors]))
    assert (path.read_bytes() if to_file else found.stdout) == expected.getvalue()


def test_a_table_names_the_nearest_images(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    shown = ran_here(tmp_path / "a.png", "--text", "a form").stdout
    assert re.search(r"a form +-?0\.\d{3} .*a\.png", shown)


def test_the_form_follows_the_suffix_and_npy_counts_what_failed(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.png", "sub/a.png", ".hidden.png"):
        (tmp_path / name).write_bytes(png())
    words = (tmp_path, "no\nsuch.png", "nosuch.png", "http://10.0.0.1/a.png", "--text", "a")
    lines = ran_here(*words, "-o", tmp_path / "out.jsonl")
    rows = rows_of(tmp_path / "out.jsonl")
    assert [row["id"] for row in rows[:2]] == [f"{tmp_path}/b.png", f"{tmp_path}/sub/a.png"]
    assert lines.stderr == "3 of 6 items failed\n"
    (tmp_path / "out.jsonl").unlink()
    found = ran_here(*words, "-o", out := tmp_path / "out.NPY")
    assert list(np.isnan(np.load(out)[:, 0])) == [False, False, True, True, True, False]
    said = found.stderr.splitlines()
    assert said[0] == "3 of 6 items failed; their rows are NaN:"
    example = r"row 2, 'no\nsuch.png': cannot be read: No such file or directory"
    assert said[1] == f"  2 file_unreadable, such as {example}"
    assert said[2].startswith("  1 fetch_blocked, such as row 4, 'http://10.0.0.1/a.png': ")
    assert said[3:] == ["--format jsonl writes the error of each item"]


def test_a_folder_without_files_is_said(tmp_path):
    (tmp_path / "sub").mkdir()
    found = ran_here(tmp_path, "-o", tmp_path / "new.jsonl")
    assert found.stderr == f"no files in the folder {tmp_path}: 0 rows done, nothing was written\n"
    assert found.exit_code == 1


def test_npy_is_not_for_a_terminal():
    master, slave = pty.openpty()
    with running("--text", "a", "--format", "npy", stdout=slave) as process:
        os.close(slave)
        code, said = ended(process)
    os.close(master)
    assert (code, said) == (
        2, "Error: npy is binary, not for a terminal: give -o FILE, or pipe it",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-o", "out.txt"), "-o out.txt: end the name in .jsonl or .npy, or give --format"),
        (("-o", "out.npy", "--format", "table"), "a table is for a terminal; a file takes"),
    ],
)
def test_a_file_takes_no_table(words, said, tmp_path):
    found = CliRunner().invoke(embed, ["--text", "a", *words])
    assert found.exit_code == 2
    assert said in found.output


@pytest.mark.parametrize("number", SIGNALS, ids=lambda one: one.name)
def test_an_interrupted_run_keeps_the_rows_that_are_done(tmp_path, gated_server, number, way):
    out = tmp_path / "out.jsonl"
    with running("-", "--format", "jsonl", "-o", out, *way) as process:
        process.stdin.write("\n".join(gated_server.urls(QUICK, 20)).encode() + b"\n")
        process.stdin.flush()
        wait_for(has_rows(tmp_path, QUICK))
        assert not out.exists()
        process.send_signal(number)
        assert ended(process) == (130, f"interrupted: {out} holds the first {QUICK} rows")
    assert [row["index"] for row in rows_of(out)] == list(range(QUICK))
    assert codes(rows_of(out)) == [None] * QUICK
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(("form", "quick"), [("npy", 5), ("jsonl", 0)])
def test_an_interrupted_run_leaves_the_old_file_and_says_so(
    tmp_path, gated_server, form, quick, way
):
    out = tmp_path / "out"
    out.write_bytes(b"old")
    with running(*gated_server.urls(quick, 5), "--format", form, "-o", out, *way) as process:
        assert gated_server.reached.wait(60)
        process.send_signal(signal.SIGTERM)
        code, said = ended(process)
    assert code == 130
    assert re.fullmatch(rf"interrupted: \d rows? done, {out} is left as it was", said)
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


def test_a_signal_that_comes_twice_at_once_is_one(tmp_path, gated_server, way):
    """As `timeout` sends it."""
    out = tmp_path / "out.jsonl"
    with running(*gated_server.urls(QUICK), "--format", "jsonl", "-o", out, *way) as process:
        wait_for(has_rows(tmp_path, QUICK))
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert ended(process)[0] == 130
    assert len(rows_of(out)) == QUICK


def test_a_signal_in_the_midst_of_the_imports_ends_in_a_line():
    with running("--text", "a", python=("-X", "importtime")) as process:
        while not re.search(rb"\| +serve\.wire\.answers$", process.stderr.readline().rstrip()):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert ended(process) == (130, "interrupted: nothing was embedded")


def test_a_signal_while_the_model_loads_ends_in_a_line(tmp_path):
    """Out of a read of the checkpoint that waits for ever."""
    os.mkfifo(config := tmp_path / "config.json")
    words = ("embed", "--text", "a", "--model", tmp_path)
    writers = []

    def is_read():
        with suppress(OSError):  # nobody reads it yet
            writers.append(os.open(config, os.O_WRONLY | os.O_NONBLOCK))
        return writers

    with running(backend=tuple(map(str, words))) as process:
        wait_for(is_read)
        # One that comes just before the read begins does not interrupt it; the next does.
        wait_for(lambda: process.send_signal(signal.SIGTERM) or process.poll() is not None)
        assert ended(process) == (130, "interrupted: nothing was embedded")
    os.close(writers[0])


def is_stuck_in_a_write(process):
    """For a while, in which a write that goes on would have moved something."""
    before = unread(process.stdout)
    stuck = True
    for _ in range(20):
        time.sleep(0.01)
        stuck = stuck and writes_to_stdout(process) and unread(process.stdout) == before
    return stuck


def test_a_second_signal_ends_a_run_that_hangs():
    """In a write to somebody who does not read."""
    with running("-", "--format", "jsonl") as process:
        size = fcntl.fcntl(process.stdout, fcntl.F_GETPIPE_SZ)
        process.stdin.write(b"nosuch.png\n" * (size // 20))
        process.stdin.flush()
        wait_for(lambda: is_stuck_in_a_write(process))
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.01)
        process.stdout.close()
        assert ended(process) == (130, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_write_that_a_signal_interrupts_loses_no_row(unbuffered):
    """Its rest is written once somebody reads on."""
    environ = without_proxies() | {"PYTHONUNBUFFERED": unbuffered}
    with running("-", "--format", "jsonl", env=environ) as process:
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, mmap.PAGESIZE)
        process.stdin.write(b"nosuch.png\n" * 3000)
        process.stdin.flush()
        wait_for(lambda: is_stuck_in_a_write(process))
        process.send_signal(signal.SIGINT)
        rows = [json.loads(line) for line in process.stdout.read().splitlines()]
        code, said = ended(process)
    assert [row["index"] for row in rows] == list(range(len(rows)))
    assert (code, said) == (130, f"interrupted: {len(rows):,} rows written")


def writes_to_stdout(process):
    """Whether its main thread is in a system call on that file."""
    return Path(f"/proc/{process.pid}/syscall").read_text().split()[1:2] == ["0x1"]


def unread(pipe):
    """Bytes in it; those of several writes do not fill it to the last."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


def test_rows_are_written_while_input_still_comes():
    with running("-", "--format", "jsonl") as process:
        for index in range(3):
            process.stdin.write(b"nosuch.png\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["index"] == index
        process.stdin.close()
        assert ended(process) == (1, "3 of 3 items failed")


def test_a_full_disk_is_said_at_once_while_input_is_awaited():
    with running("-", "--format", "jsonl", "-o", "/dev/full") as process:
        process.stdin.write(b"nosuch.png\n")
        process.stdin.flush()
        assert ended(process) == (1, "Error: cannot write /dev/full: No space left on device")


def test_standard_output_that_is_full_is_said_once():
    with Path("/dev/full").open("wb") as full, running("--text", "a", stdout=full) as process:
        code = process.wait(60)
        said = process.stderr.read().decode()
    assert (code, said) == (1, "Error: cannot write standard output: No space left on device\n")


def test_who_has_read_enough_ends_it_quietly():
    with running("-", "--format", "jsonl") as process:
        for _ in range(2):
            process.stdin.write(b"nosuch.png\n")
            process.stdin.flush()
            process.stdout.readline()
        process.stdout.close()
        process.stdin.write(b"nosuch.png\n")
        process.stdin.flush()
        assert ended(process) == (1, "")


def test_input_that_breaks_off_leaves_the_rows_before_it(tmp_path):
    out = tmp_path / "out.jsonl"
    master, slave = pty.openpty()
    with running("-", "--format", "jsonl", "-o", out, stdin=master) as process:
        os.close(master)
        os.write(slave, b"nosuch.png\n" * QUICK)
        wait_for(has_rows(tmp_path, QUICK))
        os.close(slave)  # reading the other end is an error from now on
        code, said = ended(process)
    assert code == 1
    assert said == (
        f"cannot read standard input: Input/output error: {out} holds the first {QUICK} rows"
    )
    assert len(rows_of(out)) == QUICK


def test_input_without_an_end_of_line_ends_at_its_bound():
    with Path("/dev/zero").open("rb") as zeros, running("-", stdin=zeros) as process:
        code, said = ended(process)
    assert (code, said.partition(":")[0]) == (1, "a line of 104,857,600 bytes in standard input")


def test_a_pipe_is_an_input_as_any_other():
    reading, writing = os.pipe()
    os.write(writing, png())
    os.close(writing)
    with running(f"/dev/fd/{reading}", "--format", "jsonl", pass_fds=[reading]) as process:
        row = json.loads(process.stdout.read())
        assert ended(process) == (0, "")
    os.close(reading)
    assert len(row["embedding"]) == 16


def test_a_pipe_that_nobody_writes_to_ends_at_its_deadline_and_by_a_signal(tmp_path, way):
    os.mkfifo(pipe := tmp_path / "pipe")
    late = ran(pipe, "--deadline-ms", "300", "--format", "jsonl", *way)
    assert codes([json.loads(late.stdout)]) == ["deadline_exceeded"]
    with running(pipe, *way, start_new_session=True) as process:
        wait_for(lambda: str(pipe) in open_files(process.pid))
        process.send_signal(signal.SIGINT)
        assert ended(process)[0] == 130


def open_files(session):
    """Of all processes of a session."""
    found = []
    for pid in processes_of(session):
        for one in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                found.append(str(one.readlink()))
    return found


def test_ctrl_c_ends_its_processes_too_and_only_it_speaks(tmp_path, gated_server):
    """A terminal sends the signal to all of them. One of them hangs in a read for ever."""
    os.mkfifo(pipe := tmp_path / "pipe")
    out = tmp_path / "out.jsonl"
    words = (*gated_server.urls(QUICK), pipe, "--format", "jsonl", "-o", out)
    flags = ("--preprocess-processes", "2")
    with running(*words, *flags, start_new_session=True) as process:
        wait_for(has_rows(tmp_path, QUICK))
        names = sorted(processes_of(process.pid).values())
        assert names[-3:] == [FORK_SERVER, PREPARING, PREPARING]
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
        said = process.stderr.read().decode()
    assert said == f"interrupted: {out} holds the first {QUICK} rows\n"
    wait_for(lambda: not processes_of(process.pid))


def test_a_run_that_is_killed_leaves_no_process_behind(gated_server):
    words = (*gated_server.urls(0), "--preprocess-processes", "2")
    with running(*words, start_new_session=True) as process:
        assert gated_server.reached.wait(60)
        assert len(processes_of(process.pid)) == 4
        process.kill()
        process.wait(60)
        wait_for(lambda: not processes_of(process.pid))


def test_a_terminal_shows_how_many_are_done_and_how_fast():
    master, slave = pty.openpty()
    with running("-", "--format", "jsonl", stderr=slave) as process:
        os.close(slave)
        for _ in range(3):  # one at a time: a rate takes two instants
            process.stdin.write(b"nosuch.png\n")
            process.stdin.flush()
            assert process.stdout.readline()
        process.stdin.close()
        shown = b""
        with suppress(OSError):  # how a terminal says that nobody writes to it any more
            while more := os.read(master, 65536):
                shown += more
    os.close(master)
    assert b"3/?" in shown
    assert b"/s" in shown
