"""Versions of what a result was made with. Light to import."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from model.errors import DISTRIBUTION

ROOT = Path(__file__).parents[2]
# Prints the commit, and a plus when tracked files differ from it.
DESCRIBE = ("git", "describe", "--always", "--exclude=*", "--dirty=+")
GIT_TIMEOUT_S = 10.0
# The key of our own version, in results that were kept: the name of the command.
OWN = "sweetspot"


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(DISTRIBUTION if package == OWN else package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """Return the commit that runs, with a plus for changes; None where this is no clone."""
    if not (ROOT / ".git").exists():
        return None
    try:
        asked = subprocess.run(  # noqa: S603 - constant
            DESCRIBE, cwd=ROOT, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip() or None
