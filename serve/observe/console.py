"""The console that results are printed on: a terminal, a pipe or a file."""

from __future__ import annotations

import shutil

from rich.console import Console

# Characters of a line where there is no terminal. A wrapped line cannot be searched or cut.
WIDE = 1000


def open_console(*, stderr: bool = False) -> Console:
    """Return a console that wraps lines on a terminal only, or where COLUMNS says so."""
    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = shutil.get_terminal_size((WIDE, 1)).columns
    return console
