"""`sweetspot embed`: the pipeline of the service, without the service."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import click
import numpy as np
import orjson
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from inference.engine import Engine
from inference.errors import Overloaded, UnknownModel
from inference.types import Embedding, Embeddings, Failure, ImageBytes, ImageUrl, Item, Result, Text
from model.errors import CheckpointError
from serve.answers import render_result
from serve.compose import open_engine
from serve.settings import Settings

# Items given to the engine at once: some batches, so that files and progress stay small.
CHUNK = 64
SCHEMES = ("http://", "https://", "s3://", "data:")
NEAREST = 3


def run(
    settings: Settings, inputs: Sequence[str], texts: Sequence[str], form: str, output: str | None
) -> int:
    """Embed and write. Returns the exit code: 0, or 1 when any item failed."""
    names = [*_expand(inputs), *texts]
    kinds = ["image"] * (len(names) - len(texts)) + ["text"] * len(texts)
    with _opened(output) as file:
        try:
            with _progress(len(names)) as advance, open_engine(settings, may_tune=False) as engine:
                results = _embed(engine, settings, list(zip(kinds, names, strict=True)), advance)
                dimension = engine.spec.dimension
        except (CheckpointError, UnknownModel) as exc:
            raise click.ClickException(str(exc)) from exc
        failed = sum(isinstance(result, Failure) for result in results)
        if form == "npy":
            np.save(file, as_matrix(results, dimension))
        elif form == "jsonl":
            file.writelines(_lines(names, results))
        else:
            _tables(file, list(zip(kinds, names, results, strict=True)))
    if failed:
        click.echo(f"{failed} of {len(results)} items failed", err=True)
    return 1 if failed else 0


def as_matrix(results: Sequence[Result], dimension: int) -> NDArray[np.float32]:
    """float32 [N, D], rows in order; a failed item's row is NaN."""
    matrix = np.full((len(results), dimension), np.nan, dtype=np.float32)
    for row, result in zip(matrix, results, strict=True):
        if isinstance(result, Embedding):
            row[:] = result.vector
    return matrix


def _expand(inputs: Sequence[str]) -> Iterator[str]:
    """The inputs, `-` replaced by the lines of standard input."""
    for name in inputs:
        if name == "-":
            yield from (line.strip() for line in sys.stdin if line.strip())
        else:
            yield name


def _embed(
    engine: Engine, settings: Settings, named: list[tuple[str, str]], advance: Callable[[int], None]
) -> list[Result]:
    results: list[Result] = []
    for start in range(0, len(named), CHUNK):
        chunk = [_item(kind, name) for kind, name in named[start : start + CHUNK]]
        items = [item for item in chunk if not isinstance(item, Failure)]
        answer = iter(_patient(engine, items, settings.deadline_ms / 1000))
        results += [one if isinstance(one, Failure) else next(answer) for one in chunk]
        advance(len(chunk))
    return results


def _patient(engine: Engine, items: list[Item], deadline_s: float) -> list[Result]:
    """Embed, waiting for what an earlier chunk left behind when its deadline came."""
    while True:
        try:
            return engine.embed(items, time.monotonic() + deadline_s).results
        except Overloaded as exc:
            time.sleep(exc.retry_after_s)


def _item(kind: str, name: str) -> Item | Failure:
    if kind == "text":
        return Text(name)
    if name.lower().startswith(SCHEMES):
        return ImageUrl(name)
    try:
        return ImageBytes(Path(name).read_bytes())
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        return Failure("decode_corrupt", f"cannot be read: {reason}", retryable=False)


def _lines(names: Sequence[str], results: Sequence[Result]) -> Iterator[bytes]:
    """One JSON object a line, with the input's name as its id."""
    for index, (name, result) in enumerate(zip(names, results, strict=True)):
        yield orjson.dumps(
            render_result(index, _printable(name), result, "float"),
            option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE,
        )


def _tables(file: BinaryIO, rows: list[tuple[str, str, Result]]) -> None:
    """What came of each input, and for each text the images nearest to it."""
    console = Console(file=_text_of(file), width=None if file is sys.stdout.buffer else 120)
    table = Table("#", "input", "embedding", box=None, pad_edge=False)
    for index, (_, name, result) in enumerate(rows):
        table.add_row(str(index), _short(name), escape(_shown(result)))
    console.print(table)
    images = [(n, r.vector) for k, n, r in rows if k == "image" and isinstance(r, Embedding)]
    texts = [(n, r.vector) for k, n, r in rows if k == "text" and isinstance(r, Embedding)]
    if not images or not texts:
        return
    nearest = Table("text", "nearest images, by cosine", box=None, pad_edge=False)
    for text, vector in texts:
        cosines = [(float(vector @ image), name) for name, image in images]
        best = sorted(cosines, reverse=True)[:NEAREST]
        nearest.add_row(_short(text), "  ".join(f"{c:.3f} {_short(name)}" for c, name in best))
    console.print()
    console.print(nearest)


def _text_of(file: BinaryIO) -> IO[str]:
    if file is sys.stdout.buffer:
        return sys.stdout
    return io.TextIOWrapper(file, encoding="utf-8", write_through=True)


def _shown(result: Result) -> str:
    if isinstance(result, Failure):
        return f"{result.code}: {result.message}"
    if isinstance(result, Embeddings):
        return f"embeddings of {', '.join(result.by_model)}"
    first = " ".join(f"{value:+.3f}" for value in result.vector[:4])
    cut = ", text cut to the context" if result.truncated else ""
    return f"{first} ...  {len(result.vector)} dimensions{cut}"


def _printable(name: str) -> str:
    """A file's name may hold bytes that are no text."""
    return name.encode("utf-8", "backslashreplace").decode()


def _short(name: str, width: int = 48) -> str:
    """The end of a long name, with nothing in it that rich would take for a style."""
    name = _printable(name)
    return escape(name if len(name) <= width else f"...{name[-width + 3 :]}")


@contextmanager
def _opened(output: str | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(Path(output).open("wb"))
        except OSError as exc:
            raise click.ClickException(f"cannot write {output}: {exc.strerror}") from exc
        yield file


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error when that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("embedding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("embedding", total=total)
        yield lambda count: progress.advance(task, count)
