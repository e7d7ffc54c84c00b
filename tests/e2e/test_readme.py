"""The lines of README's "Use" as written, top to bottom, in a copy of the repository.

As written, in the environment that the first line enters, but for the ports, which are any free
ones, and for benchmarks, which are made short.
Lines that ask a registry or the hub are left out. `make parity-full` also makes the int8 artifact,
half of the time, and runs the lines that need it.
"""

import json
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager, nullcontext

import numpy as np
import pytest

from tests.e2e.service import ROOT, Running, on_one_core, without_proxies
from tests.ports import free_port

README = (ROOT / "README.md").read_text()
USE = README[README.index("## Use\n") : README.index("## Pages\n")]
# A line that is indented, or a block of Python.
STEPS = re.findall(r"^    ([^\n]+)$|^```python\n(.*?)^```$", USE, re.MULTILINE | re.DOTALL)
ACTIVATE = "source .venv/bin/activate"
ELSEWHERE = re.compile(r"pip |make serve .*openai/|\S+ convert openclip:")
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".*_cache", "demo", "__pycache__", "*.egg-info")
INT8 = re.compile(r".* (quantize|check|export) |.*demo/int8")
SHORTER = {
    "benchmark encoder": "--backend fake",  # with processes: test_benchmark.py
    "benchmark pipeline": "--backend fake --mix small --batch 8 --duration-s 0.1",
    # Its own thumbnails: test_benchmark_endpoint.py.
    "benchmark endpoint": "--urls demo/urls.txt --batch 1,4 --concurrency 2 --duration-s 0.1",
    "check": "--images 16",
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fresh") / "clone"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


class Terminals:
    """Runs lines; what serves goes on in the background until another one takes its port."""

    def __init__(self, folder, stack):
        self.folder, self.stack = folder, stack
        self.ports = {port: str(free_port()) for port in ("8080", "8000")}
        self.env = without_proxies() | {"PYTHONPATH": str(folder)}
        self.service = None

    def run(self, line):
        """Run a line to its end. Returns what it printed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{ACTIVATE}\n{self.here(line)}"],
            cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, line):
        """Start a line in a terminal of its own."""
        log = self.folder / "terminal.log"
        with log.open("wb") as file:
            process = self.stack.enter_context(
                ending(subprocess.Popen(
                    ["bash", "-c", f"exec {self.here(line)}"], cwd=self.folder, env=self.env,
                    stdout=file, stderr=file,
                ))
            )  # fmt: skip
        return Running(process, int(self.ports["8080"]), log)

    def serve(self, line):
        """Start what `make serve` runs in place of the one before, and wait until it answers."""
        if self.service is not None:
            self.service.process.terminate()
            self.service.process.wait(30)
        recipe = f"{self.made(line)} --port 8080"
        self.service = self.start(recipe).wait_until_ready()

    def made(self, line):
        """The command that a line of make runs, once all is installed."""
        return self.run(
            line.replace("make ", "make --no-print-directory -n -o .venv/.run ")
        ).strip()

    def here(self, line):
        """The line with free ports in place of those written."""
        for written, ours in self.ports.items():
            line = re.sub(rf"\b{written}\b", ours, line)
        return line


@contextmanager
def ending(process):
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def terminals(clone):
    with ExitStack() as stack:
        yield Terminals(clone, stack)


@pytest.fixture(scope="module")
def demo(terminals, clone):
    """The folder that the demo leaves."""
    terminals.run(terminals.made("make demo"))
    listed = clone / "demo" / "urls.txt"
    assert len(listed.read_text().split()) == 160
    listed.write_text(listed.read_text().replace("8000", terminals.ports["8000"]))
    return clone / "demo"


def ran(terminals, steps):
    """Run lines in their order. Returns what each printed."""
    shown = {}
    for line, python in steps:
        if python:
            (terminals.folder / "snippet.py").write_text(terminals.here(python))
            shown["python"] = terminals.run("python snippet.py")
        elif line.startswith("make serve"):
            terminals.serve(line)
        elif line.startswith("python3 -m http.server"):
            terminals.start(line)
        else:
            shorter = [flags for words, flags in SHORTER.items() if f"sweetspot {words}" in line]
            before = "SWEETSPOT_PREPROCESS_PROCESSES=0" if "benchmark encoder" in line else ""
            with on_one_core() if before else nullcontext():
                shown[line] = terminals.run(" ".join([before, line.partition("#")[0], *shorter]))
    return shown


def test_every_line_runs_and_finds_something(terminals, demo):
    here = [step for step in STEPS if not (ELSEWHERE.match(step[0]) or INT8.match(step[0]))]
    shown = ran(terminals, here)

    def of(words):
        return [shown[line] for line in shown if words in line]

    assert all('"error"' not in said for said in of("curl"))
    assert json.loads(of("curl")[2])["results"][0]["embedding"]
    assert shown["python"].count("[") == 20
    assert "20 {'code': 'fetch_http_status'" in shown["python"]
    (table,) = of("embed demo")
    assert re.search(r"^dark login screen +0\.\d+ \S*login-\w+-dark", table, re.MULTILINE)
    assert re.search(r"^pricing cards +0\.\d+ \S*pricing-", table, re.MULTILINE)
    rows = [json.loads(line) for line in (demo / "embeddings.jsonl").read_text().splitlines()]
    assert len(rows) == 160
    assert all(abs(np.linalg.norm(row["embedding"]) - 1) < 1e-5 for row in rows)
    assert re.search(r"^rows +160 ", of("bulk")[0], re.MULTILINE)
    assert len(of("benchmark")) == 3
    assert "AWS::SageMaker::Endpoint" in of("render")[0]


@pytest.mark.full
def test_the_lines_of_int8_run(terminals, demo):
    lines = [step for step in STEPS if INT8.match(step[0])]
    assert len(lines) == 5
    ran(terminals, lines)


def test_no_line_names_a_place_that_is_made_up():
    assert not re.search(r"example\.(com|org)|\./(my-)?checkpoint|\./shots|screens\.parquet", USE)
    assert len(STEPS) > 20
    assert STEPS[0][0] == ACTIVATE
