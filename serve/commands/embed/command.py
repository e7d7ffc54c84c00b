"""One run of `embed`: write rows from the engine to a file, and report the outcome."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import click

from inference.engine.engine import Engine
from inference.errors import UnknownModel
from model.errors import CheckpointError
from model.files import whole_file
from serve.commands import signals
from serve.commands.embed import progress
from serve.commands.embed.flow import Row, Stopped, rows
from serve.commands.embed.forms import FORMS, Form
from serve.commands.embed.inputs import EndedEarly, sources, total
from serve.commands.embed.tally import Tally
from serve.commands.opened_engine import opened_engine
from serve.settings import Settings


@dataclass(frozen=True)
class Asked:
    """What to embed, in which form to write it, and where. output: None is standard output."""

    inputs: Sequence[str]
    texts: Sequence[str]
    form: str
    output: str | None = None


def run(settings: Settings, asked: Asked) -> int:
    """Embed and write. Returns the exit code: 0, or 1 when any item failed or the run broke off.

    Raises:
        ClickException: no model, or nothing can be written. Interrupted: by a signal, reported.
    """
    signals.unwind()
    try:
        with opened_engine(settings) as engine:
            return embed(engine, settings.deadline_ms / 1000, asked)
    except (CheckpointError, UnknownModel) as exc:
        raise click.ClickException(str(exc)) from exc


def embed(engine: Engine, patience_s: float, asked: Asked) -> int:
    """Do the same as `run` with an open engine. patience_s: time limit of each item."""
    tally, early = Tally(), None
    named = sources(asked.inputs, asked.texts)
    try:
        with (
            progress.shown(total(asked.inputs, asked.texts)) as advance,
            closing(rows(engine, named, patience_s)) as found,
        ):
            early = write(_counted(found, tally, advance), asked, engine.spec.dimension)
        kept = True
    except EndedEarly as exc:
        early, kept = exc, False
    if early is not None:
        return _break_off(early, asked, tally, kept=kept)
    if tally.failed:
        click.echo("\n".join(tally.failures(asked.form)), err=True)
    return 1 if tally.failed else 0


def _counted(
    found: Iterator[list[Row]], tally: Tally, advance: Callable[[int], None]
) -> Iterator[list[Row]]:
    """Yield the rows, and count each group once the caller has written it and asks for more."""
    for some in found:
        yield some
        tally.add(some)
        advance(len(some))


def write(found: Iterator[list[Row]], asked: Asked, dimension: int) -> Exception | None:
    """Write all rows. Returns the error that ended them early if the rows so far were kept.

    Raises:
        Exception: that error if nothing was kept. ClickException: the file cannot be written.
    """
    try:
        with _opened(asked.output) as file:
            form = FORMS[asked.form](file, dimension)
            early = _fill(form, found)
            form.finish()
        return early
    except BrokenPipeError:
        raise  # the reader closed the pipe; click exits quietly
    except OSError as exc:
        where = asked.output or "standard output"
        raise click.ClickException(f"cannot write {where}: {exc.strerror}") from exc


def _fill(form: Form, found: Iterator[list[Row]]) -> Exception | None:
    """Add rows to a form. Returns or raises the error that ended them; OSError is the file's."""
    any_row = False
    try:
        for some in found:
            form.add(some)
            any_row = True
    except OSError:
        raise
    except Exception as exc:
        if form.keeps and any_row:
            return exc
        raise
    return None


@contextmanager
def _opened(output: str | None) -> Iterator[BinaryIO]:
    """Open a file that replaces `output` only if the block succeeds, or standard output."""
    if output is not None:
        with whole_file(output) as file:
            yield file
        return
    if isinstance(sys.stdout.buffer, io.RawIOBase):  # by PYTHONUNBUFFERED
        # A raw write that a signal interrupts drops the rest of its rows.
        sys.stdout = os.fdopen(sys.stdout.fileno(), "w", closefd=False)
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError:
        _forget_output()
        raise


def _forget_output() -> None:
    """Discard unwritten output, which the interpreter would try to write again at its exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _break_off(early: Exception, asked: Asked, tally: Tally, *, kept: bool) -> int:
    """Report what was written by a run that ended early. Returns its exit code.

    Raises:
        Interrupted: after a signal. Exception: an unexpected error.
    """
    why = str(early) if isinstance(early, EndedEarly) else "an unexpected error"
    click.echo(f"{why}: {_account(asked, tally, kept=kept)}", err=True)
    if isinstance(early, Stopped):
        signals.leave()
    if not isinstance(early, EndedEarly):
        raise early
    return 1


def _account(asked: Asked, tally: Tally, *, kept: bool) -> str:
    done = f"{tally.rows:,} row{'' if tally.rows == 1 else 's'}"
    if kept:
        return f"{asked.output} holds the first {done}" if asked.output else f"{done} written"
    old = asked.output is not None and Path(asked.output).exists()
    left = f"{asked.output} is left as it was" if old else "nothing was written"
    return f"{done} done, {left}"
