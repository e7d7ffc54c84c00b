"""Bulk jobs that lose processes at random moments end as one that lost none.

    python -m tests.chaos.bulk [--rows 20000] [--kills 10] [--seed 0] [--builtin] [--format lance]

One job runs whole in this process. Another is killed by SIGKILL again and again, and started again.
A third runs on a real Ray runtime of two nodes on this machine, and loses its driver, an actor or a
node each time. All three must have the same rows; vectors may differ by 1e-5. The first is of
Parquet in any case. A row in 33 is missing on the server. Rows that were fetched twice are counted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from serve.commands.bulk.output.formats import FORMATS
from tests.bulk_jobs import FLAGS, Counting, counting, rows

PER_PART = 500
Row = dict[str, Any]
PICTURES = 300
# Kills are spread over this share of the rows, so that some work is left after the last.
SPREAD = 0.9


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rows", type=int, default=20_000)
    options.add_argument("--kills", type=int, default=10)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--builtin", action="store_true", help="the built-in model, not the fake")
    options.add_argument("--format", choices=FORMATS, default=FORMATS[0])
    asked = options.parse_args()
    with counting() as server, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = Job(server, folder, asked.rows, asked.format, builtin=asked.builtin)
        chosen = random.Random(asked.seed)
        table = Table("job", "lost", "fetched twice", "of them a loss", "seconds", box=None)
        wanted = job.whole(table)
        for lose in (job.killed, job.on_ray):
            found = lose(asked.kills, chosen, table)
            compare(found, wanted)
        Console().print(table)


class Job:
    """The same job, run in several ways."""

    def __init__(
        self, server: Counting, folder: Path, count: int, form: str, *, builtin: bool
    ) -> None:
        self._server, self._folder, self._count, self._form = server, folder, count, form
        self._urls = folder / "urls.txt"
        paths = [f"/{seed % PICTURES}.jpg?{seed}" for seed in range(count)]
        paths[::33] = [f"/gone?{seed}" for seed in range(0, count, 33)]
        self._urls.write_text("\n".join(map(server.url, paths)))
        self._flags = [*FLAGS[2:], "--precision", "float32"] if builtin else FLAGS

    def whole(self, table: Table) -> list[Row]:
        """Run the job to its end."""
        run = partial(self._start, "whole", "--format", FORMATS[0])
        return self._report("whole", table, [], lambda: self._finish(run()))

    def killed(self, kills: int, chosen: random.Random, table: Table) -> list[Row]:
        """Kill the job again and again."""

        start = partial(self._start, "killed", "--format", self._form)

        def run() -> None:
            process = start()
            for _ in range(kills):
                self._wait(chosen, kills, process)
                process.kill()
                process.wait()
                process = start()
            self._finish(process)

        return self._report("killed", table, ["driver"] * kills, run)

    def on_ray(self, kills: int, chosen: random.Random, table: Table) -> list[Row]:
        """Take something from the job again and again."""
        lost = [chosen.choice(["actor", "driver", "node"]) for _ in range(kills)]

        def run() -> None:
            with cluster() as nodes:
                flags = ("--engine", "ray", "--ray-address", nodes.address)
                start = partial(self._start, "ray", "--format", self._form, *flags)
                process = start()
                for kind in lost:
                    self._wait(chosen, kills, process)
                    if kind == "driver":
                        process.kill()
                        process.wait()
                        process = start()
                    elif kind == "node":
                        nodes.remove_node(min(nodes.worker_nodes, key=str), allow_graceful=False)
                        nodes.add_node(num_cpus=1)
                    elif alive := actors():
                        os.kill(chosen.choice(alive), signal.SIGKILL)
                self._finish(process)

        return self._report("ray", table, lost, run)

    def _start(self, output: str, *flags: str) -> subprocess.Popen[bytes]:
        job = [str(self._urls), "-o", str(self._folder / output), "--rows-per-part", str(PER_PART)]
        command = [sys.executable, "-m", "sweetspot", "bulk", *job, *flags, *self._flags]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def _wait(self, chosen: random.Random, kills: int, process: subprocess.Popen[bytes]) -> None:
        """Wait for some more requests."""
        most = max(2, round(2 * SPREAD * self._count / kills))
        wanted = self._server.requests + chosen.randrange(1, most)
        while self._server.requests < wanted and process.poll() is None:
            time.sleep(0.01)

    def _finish(self, process: subprocess.Popen[bytes]) -> None:
        _, printed = process.communicate()
        if process.returncode:
            raise SystemExit(printed.decode())

    def _report(
        self, name: str, table: Table, lost: list[str], run: Callable[[], None]
    ) -> list[Row]:
        self._server.asked.clear()
        start_s = time.monotonic()
        run()
        twice = sum(count - 1 for count in self._server.asked.values())
        words = ", ".join(f"{lost.count(kind)} {kind}" for kind in sorted(set(lost))) or "nothing"
        each = f"{twice / len(lost):.0f}" if lost else ""
        table.add_row(name, words, f"{twice:,}", each, f"{time.monotonic() - start_s:.0f}")
        found: list[Row] = rows(self._folder / name)
        return found


@contextlib.contextmanager
def cluster() -> Iterator[Any]:
    """Two nodes of a core each, as processes of this machine."""
    from ray.cluster_utils import Cluster

    nodes = Cluster()
    try:
        nodes.add_node(num_cpus=1, include_dashboard=False)
        nodes.add_node(num_cpus=1)
        nodes.wait_for_nodes()
        yield nodes
    finally:
        nodes.shutdown()


def actors() -> list[int]:
    """Return the process ids of the engines on Ray."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if entry.read_bytes().startswith(b"ray::MapWorker"):
                found.append(int(entry.parent.name))
    return found


def compare(found: list[Row], wanted: list[Row]) -> None:
    """Raise SystemExit if rows differ."""
    if len(found) != len(wanted):
        raise SystemExit(f"{len(found)} rows, not {len(wanted)}")
    for one, other in zip(found, wanted, strict=True):
        for key in one.keys() - {"embedding", "fetched_at"}:
            if one[key] != other[key]:
                raise SystemExit(f"{one['id']}: {key} is {one[key]}, not {other[key]}")
        vectors = one["embedding"], other["embedding"]
        if None not in vectors and not np.allclose(*vectors, atol=1e-5):
            raise SystemExit(f"{one['id']}: other vectors")


if __name__ == "__main__":
    main()
