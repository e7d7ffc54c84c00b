"""How a training ends before its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from serve.commands import signals

UNBEGUN = b"interrupted: nothing was trained\n"
STOPPING = b"\nstopping; a second signal ends at once\n"


class Stopped(Exception):
    """A signal stopped the training."""


class NotWritten(Exception):
    """The result finds less than the base, and was not written. report: as it would have been."""

    def __init__(self, message: str, report: dict[str, Any]) -> None:
        super().__init__(message)
        self.report = report


def leave(work: Path) -> NoReturn:
    """Say how a run that was stopped goes on, and raise Interrupted. work: its folder."""
    is_kept = work.is_dir() and any(work.iterdir())
    where = f"{work} keeps what is done; " if is_kept else ""
    click.echo(f"interrupted: {where}the same command goes on", err=True)
    signals.leave()


class Stop:
    """Whether a signal has asked to stop. A second signal ends the process at once."""

    def __init__(self) -> None:
        self.is_asked = False

    def listen(self, told: Callable[[], object]) -> None:
        """Call `told` at the first signal from now on; at once if there was one."""

        def hear() -> None:
            self.is_asked = True
            os.write(2, STOPPING)
            told()

        if self.is_asked:
            told()
        signals.tell(hear)
