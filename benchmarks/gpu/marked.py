"""The tests marked `gpu`, run by pytest in a process of its own, if it is installed."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks.gpu.plan import Box, Found, Plan, Skipped

ROOT = Path(__file__).parents[2]
MARK = "@pytest.mark.gpu"
# Packages that these tests need in addition to the service's.
NEEDED = ("pytest", "hypothesis")
TAIL_CHARS = 4000


def run(plan: Plan, box: Box) -> Found:  # noqa: ARG001 - no intermediate numbers
    """Run the tests. On a CPU each skips itself; the run then shows that they are found."""
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
    """Return files with such a test; others may import packages that are not installed."""
    every = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(path.relative_to(ROOT)) for path in every if MARK in path.read_text()]


def outcomes(output: str) -> dict[str, int]:
    """Return the counts by outcome, from the last line of pytest's output."""
    last = output.strip().rpartition("\n")[2]
    return {word: int(count) for count, word in re.findall(r"(\d+) ([a-z]+)", last)}
