"""Checks and measurements of a machine with a CUDA card, in at most seven minutes.

    python -m benchmarks.gpu --output DIR                          on a card
    python -m benchmarks.gpu --output DIR --device cpu --quick     the same on a CPU, in seconds

Writes DIR/gpu.json after each step, and prints a table at the end. Each part has a time limit. A
part that fails is recorded with its traceback, a part that hangs is killed, and the next one runs.
The exit code is 1 if a part is neither ok nor skipped.

It needs torch, transformers and what the service imports; no OpenVINO, no network, no checkpoint.
The tests marked `gpu` run only if pytest and hypothesis are installed (pytest, pluggy, iniconfig,
packaging, pygments, hypothesis, sortedcontainers); otherwise that part is skipped.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Literal

import click
from rich.console import Console

from benchmarks.gpu.document import Document
from benchmarks.gpu.parts import BUDGET_S, FIRST, NAMES, PARTS
from benchmarks.gpu.plan import Plan
from benchmarks.gpu.supervisor import Supervisor
from benchmarks.gpu.table import table

GOOD = {"ok", "skipped"}


@click.command()
@click.option("--output", required=True, type=click.Path(path_type=Path), help="For gpu.json.")
@click.option("--device", default="cuda", type=click.Choice(["cuda", "cpu"]), show_default=True)
@click.option("--quick", is_flag=True, help="A tiny model; takes seconds.")
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="Only this part; repeatable.")
@click.option("--seconds", default=BUDGET_S, show_default=True, help="Time limit of the whole run.")
def main(
    output: Path,
    device: Literal["cuda", "cpu"],
    quick: bool,
    only: tuple[str, ...],
    seconds: float,
) -> None:
    """Run the parts, record and print their results."""
    command = " ".join(["python", "-m", "benchmarks.gpu", *sys.argv[1:]])
    options = {"device": device, "quick": quick, "seconds": seconds}
    document, console = Document(output, command, options), Console()
    parts = [part for part in PARTS if not only or part.name in (FIRST, *only)]
    with (
        tempfile.TemporaryDirectory(prefix="gpu-") as name,
        Supervisor(Plan(device, quick, Path(name)), seconds) as supervisor,
    ):
        for part, ended in supervisor.run(parts, document.note):
            document.ended(part, ended)
            console.print(f"{part.name}: {ended.state}, {ended.seconds:.1f} s")
    console.print(table(document))
    console.print(str(document.path))
    sys.exit(any(one["state"] not in GOOD for one in document.parts.values()))


if __name__ == "__main__":
    main()
