"""The tests marked `gpu`, by pytest in a process of its own, where it is installed."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks.gpu.plan import Box, Found, Plan, Skipped

ROOT = Path(__file__).parents[2]
MARK = "@pytest.mark.gpu"
# What the tests of these files import beyond what the service does.
NEEDED = ("pytest", "hypothesis")
TAIL_CHARS = 4000


def run(plan: Plan, box: Box) -> Found:  # noqa: ARG001 - the tests have no parts to note
    """Run them; on a CPU each skips itself, and what is shown is that they are found."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise Skipped(f"{' and '.join(missing)} not installed")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-W", "default", *files()],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    counts = outcomes(done.stdout)
    problems = [f"pytest ended with {done.returncode}"] if done.returncode else []
    if plan.device == "cuda" and not counts.get("passed"):
        problems.append("none of them ran")
    numbers = {"counts": counts, "files": files(), "output": done.stdout[-TAIL_CHARS:]}
    headline = ", ".join(f"{count} {word}" for word, count in counts.items())
    return Found(numbers, headline, tuple(problems))


def files() -> list[str]:
    """Those that hold such a test: others import what a machine with a card may lack."""
    every = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(path.relative_to(ROOT)) for path in every if MARK in path.read_text()]


def outcomes(output: str) -> dict[str, int]:
    """How many passed, failed, were skipped: from the last line of pytest's output."""
    last = output.strip().rpartition("\n")[2]
    return {word: int(count) for count, word in re.findall(r"(\d+) ([a-z]+)", last)}
