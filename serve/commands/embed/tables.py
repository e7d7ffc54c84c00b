"""Tables for a terminal: the result of each input, and the nearest images of each text."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import BinaryIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from inference.types import Embedding, Embeddings, Failure, Result
from serve.observe.console import WIDE, open_console

NEAREST = 3
# Of a name where lines wrap, and elsewhere: a `data:` URL has millions.
NAME_CHARS, MAX_NAME_CHARS = 48, 240


def show(file: BinaryIO, rows: Sequence[tuple[str, str, Result]]) -> None:
    """Write the result of each input, and the nearest images of each text.

    rows: kind, name and result of each.
    """
    if file is sys.stdout.buffer:
        _print(open_console(), rows)
        return
    text = io.StringIO()
    _print(Console(file=text, width=WIDE), rows)
    file.write(text.getvalue().encode())


def _print(console: Console, rows: Sequence[tuple[str, str, Result]]) -> None:
    width = NAME_CHARS if console.width < WIDE else MAX_NAME_CHARS
    table = Table("#", "input", "embedding", box=None, pad_edge=False)
    for index, (_, name, result) in enumerate(rows):
        table.add_row(str(index), _short(name, width), escape(_shown(result)))
    console.print(table)
    images = [(n, r.vector) for k, n, r in rows if k == "image" and isinstance(r, Embedding)]
    texts = [(n, r.vector) for k, n, r in rows if k == "text" and isinstance(r, Embedding)]
    if not images or not texts:
        return
    nearest = Table("text", "nearest images, by cosine", box=None, pad_edge=False)
    for text, vector in texts:
        cosines = [(float(vector @ image), name) for name, image in images]
        best = sorted(cosines, reverse=True)[:NEAREST]
        said = "  ".join(f"{c:.3f} {_short(name, width)}" for c, name in best)
        nearest.add_row(_short(text, width), said)
    console.print()
    console.print(nearest)


def _shown(result: Result) -> str:
    if isinstance(result, Failure):
        return f"{result.code}: {result.message}"
    if isinstance(result, Embeddings):
        return f"embeddings of {', '.join(result.by_model)}"
    first = " ".join(f"{value:+.3f}" for value in result.vector[:4])
    cut = ", text cut to the context" if result.truncated else ""
    return f"{first} ...  {len(result.vector)} dimensions{cut}"


def printable(name: str) -> str:
    """Return a file's name with the bytes escaped that are not valid text."""
    return name.encode("utf-8", "backslashreplace").decode()


def _short(name: str, width: int) -> str:
    """Return the end of a long name, escaped so that rich finds no styles in it."""
    name = printable(name)
    return escape(name if len(name) <= width else f"...{name[-width + 3 :]}")
