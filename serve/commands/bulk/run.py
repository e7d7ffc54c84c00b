"""One run of `bulk`: find the input, open the model, embed what is missing, sum up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import click

from model.errors import CheckpointError, OutOfMemory
from serve.commands import signals
from serve.commands.bulk.embedding.worker import Work
from serve.commands.bulk.errors import Stopped
from serve.commands.bulk.inputs.splits import Split
from serve.commands.bulk.job import Asked, Job, Model, check_output, model_of, open_job
from serve.commands.bulk.lock import locked
from serve.commands.bulk.output.part_files import PartReport
from serve.commands.bulk.previous import open_previous, write_index
from serve.commands.bulk.running import local, progress
from serve.commands.bulk.running.local import Event
from serve.commands.bulk.show_summary import show
from serve.commands.bulk.summary import Run, reports, summarize, write_summary
from serve.commands.opened_engine import opened_engine
from serve.commands.tables.errors import JobError
from serve.commands.tables.find import find
from serve.settings import Settings

NOTE_EVERY_S = 10.0
# Embeds parts: work and parts in, reports and counts out.
Embed = Callable[[Work, Sequence[Split]], Generator[Event]]


@dataclass(frozen=True)
class How:
    """How to run a job. engine: `local` or `ray`. ray_address: None starts Ray on this machine.

    price_per_hour: of all machines together, for the summary.
    """

    engine: str = "local"
    ray_address: str | None = None
    price_per_hour: float | None = None


def run(settings: Settings, asked: Asked, how: How, *, as_json: bool) -> None:
    """Embed, and print the summary.

    Raises:
        ClickException: the job cannot start or go on. Interrupted: by a signal, reported.
    """
    signals.unwind()
    try:
        source = find(asked.inputs, asked.output)
        output = check_output(asked)
        engine = _on_ray(settings, how) if how.engine == "ray" else _here(settings)
        with locked(output), engine as (model, embed):
            job = open_job(asked, source, output, model)
            work = _work(settings, asked, job, model)
            summary = _embed(embed, work, asked, job, how.price_per_hour)
    except (JobError, CheckpointError, OutOfMemory) as exc:
        raise click.ClickException(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(f"a file cannot be read or written: {exc}") from exc
    click.echo(json.dumps(summary, indent=2)) if as_json else show(asked.output, summary)


@contextmanager
def _here(settings: Settings) -> Iterator[tuple[Model, Embed]]:
    """Open an engine in this process."""
    with opened_engine(settings) as engine:
        yield model_of(engine.spec), partial(local.embed, engine)


@contextmanager
def _on_ray(settings: Settings, how: How) -> Iterator[tuple[Model, Embed]]:
    """Connect to Ray."""
    from serve.commands.bulk.running import on_ray

    with on_ray.connected(how.ray_address):
        yield on_ray.describe(settings), partial(on_ray.embed, settings)


def _work(settings: Settings, asked: Asked, job: Job, model: Model) -> Work:
    """Return what is done with each part; index the earlier output if there is one."""
    patience_s = settings.deadline_ms / 1000
    work = Work(job.reader, job.parts, patience_s, asked.per_host, asked.retry_failed)
    if asked.previous is None:
        return work
    previous = open_previous(asked.previous, model, asked.dtype)
    if previous.place == job.parts.place:
        raise JobError("--previous is the output itself; name the output of an earlier job")
    write_index(previous.pieces, job.parts.place)
    return replace(work, previous=previous)


def _embed(
    embed: Embed, work: Work, asked: Asked, job: Job, price_per_hour: float | None
) -> dict[str, Any]:
    timed = Run(job.parts.place)
    timed.note()
    kept, missing, again = _to_do(job, retry=asked.retry_failed)
    if not missing:
        click.echo(f"already complete: {asked.output}; nothing is embedded", err=True)
    try:
        with job.parts.files.shown(again) as tell:
            made = _followed(embed(work, missing), job, missing, timed, tell) if missing else []
    except Stopped:
        _tell_stopped(asked.output)
        signals.leave()
    finally:
        timed.note()
    summary = summarize(job, reports(job.parts.files, [*kept, *made]), price_per_hour)
    write_summary(job.parts.place, summary)
    return summary


class _ToDo(NamedTuple):
    """kept: reports of parts that are kept, as far as read. again: whole parts of `missing`."""

    kept: list[PartReport]
    missing: list[Split]
    again: set[int]


def _to_do(job: Job, *, retry: bool) -> _ToDo:
    found = reports(job.parts.files, []) if retry else []
    again = {one.part for one in found if one.is_tried_again}
    keep = job.parts.files.whole() - again
    missing = [split for split in job.splits if split.part not in keep]
    return _ToDo([one for one in found if one.part in keep], missing, again)


def _followed(
    events: Generator[Event],
    job: Job,
    missing: Sequence[Split],
    timed: Run,
    tell: Callable[[int], object],
) -> list[PartReport]:
    """Show how far the job is until it ends, and tell of whole parts. Returns their reports."""
    made: list[PartReport] = []
    noted_s = time.monotonic()
    left = sum(split.rows for split in missing)
    # Closed: an error here ends the job, too, before the engine is closed.
    with progress.shown(job.rows, job.rows - left) as show, closing(events):
        for report, seen in events:
            show(seen)
            if report is not None:
                made.append(report)
                tell(report.part)
            if time.monotonic() - noted_s >= NOTE_EVERY_S:
                timed.note()
                noted_s = time.monotonic()
    return made


def _tell_stopped(output: str) -> None:
    click.echo(f"interrupted: what is done is in {output}; the same command goes on", err=True)
