"""Writes the golden table of documents side by side: `python -m tests.serve.benchmark.golden`."""

import io
from pathlib import Path

from rich.console import Console

from serve.benchmark.side_by_side.run import measurements, show

FOLDER = Path(__file__).parent
# Of the fake encoder, a second of each benchmark: on one core at one commit, on two at the next.
DOCUMENTS = sorted((FOLDER / "documents").glob("*.json"))
GOLDEN = FOLDER / "side_by_side.txt"


def rendered(paths=DOCUMENTS):
    """What people see of documents on a wide terminal."""
    console = Console(file=io.StringIO(), width=240)
    show(console, measurements(list(map(str, paths))))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


if __name__ == "__main__":
    GOLDEN.write_text(rendered())
