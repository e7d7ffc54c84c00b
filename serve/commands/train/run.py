"""One run of `train`: read the sets, prepare their pixels, fine-tune, show what came of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from inference.preparation.pixels import StageBroken
from inference.profile.machine import memory_bytes
from model.checkpoints.checkpoint import BUILTIN
from model.errors import ModelError
from model.files import write_whole
from model.images.preprocess import ImagePreprocessing
from model.load import open_checkpoint, spin_briefly
from serve.commands import signals
from serve.commands.tables.errors import JobError
from serve.commands.train import progress
from serve.commands.train.asked import Asked
from serve.commands.train.data.bad_rows import BadRows
from serve.commands.train.pixels.prepare import Prepared, Preparer
from serve.commands.train.pixels.store import GB, check_room, size_bytes
from serve.commands.train.results.record import FILE_NAME, record
from serve.commands.train.results.show import show
from serve.commands.train.sets import Sets, described, read_sets
from serve.commands.train.stopping import UNBEGUN, NotWritten, Stop, Stopped, leave
from serve.compose import model_config
from serve.settings import Launched, Settings, SettingsError, launched

Shown = AbstractContextManager[Callable[[Any], Any]]


def run(settings: Settings, asked: Asked) -> int:
    """Train, and print what came of it. Returns the exit code: 1 if it was not written.

    Raises:
        ClickException: the training cannot start or go on. Interrupted: by a signal, reported.
    """
    signals.unwind(UNBEGUN)
    spin_briefly()  # before torch is imported, which resizes images, too
    try:
        return _run(settings, asked)
    except Stopped:
        leave(asked.checkpoints_folder)
    except (JobError, ModelError, SettingsError, StageBroken) as exc:
        raise click.ClickException(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(f"a file cannot be read or written: {exc}") from exc
    finally:
        if asked.work is None:
            with suppress(OSError):  # it holds something
                asked.work_folder.rmdir()


def _run(settings: Settings, asked: Asked) -> int:
    output, work = Path(asked.output), asked.work_folder
    if output.is_dir() and any(output.iterdir()):
        raise JobError(f"{output} is not empty; name a new folder")
    place = launched()
    # Of several processes, the first tells and writes.
    console = Console(stderr=True, quiet=place.rank > 0)
    bad, stop = BadRows(asked.max_bad), Stop()
    way = _preprocessing(settings)
    sets = read_sets(asked, bad)
    _tell(
        console, f"{sets.words()}; their pixels take {sets.size_bytes(way) / GB:.2f} GB in {work}"
    )
    prepared = _prepare(settings, way, sets, work, bad, stop, place)
    data: dict[str, Any] = {name: described(one) for name, one in prepared.items()}
    checkpoints = asked.checkpoints_folder / asked.name_of_checkpoints(_base(settings), data)
    try:
        report, refusal = _fine_tune(settings, asked, prepared, checkpoints, stop, place), ""
    except NotWritten as exc:
        report, refusal = exc.report, f"{exc}; {asked.kept()}"
    if place.rank == 0:
        data |= {"split": sets.how, "bad_rows": bad.report()}
        found = record(report, data, asked.sources() | {"preprocess": settings.preprocess})
        if not refusal:
            write_whole(output / FILE_NAME, json.dumps(found, indent=2) + "\n")
        show(asked, found, prepared["held_out"].pairs, console)
    if refusal:
        raise click.ClickException(refusal)
    if place.rank == 0 and asked.work is None:
        shutil.rmtree(work, ignore_errors=True)
    _tell(console, f"{output}; serve it: sweetspot serve --model {output}")
    return 0


def _tell(console: Console, words: str) -> None:
    console.print(words, highlight=False, markup=False, soft_wrap=True)


def _shown(bar: Shown, place: Launched) -> Shown:
    """Return a bar, or what shows nothing in other processes than the first."""
    return bar if place.rank == 0 else nullcontext(lambda _: None)


def _preprocessing(settings: Settings) -> ImagePreprocessing:
    """Return what makes the base's pixels, as in serving."""
    checkpoint, config = open_checkpoint(_base(settings)), model_config(settings)
    return ImagePreprocessing(checkpoint.geometry, config.policy, config.max_image_pixels)


def _base(settings: Settings) -> str:
    """Return the checkpoint to start from; the platform's folder is for the result."""
    return settings.model or BUILTIN


def _prepare(
    settings: Settings, way: ImagePreprocessing, sets: Sets, work: Path, bad: BadRows, stop: Stop,
    place: Launched,
) -> dict[str, Prepared]:  # fmt: skip
    """Return the pairs of each set; one process of a machine fetches. Raises JobError, OSError."""
    total, fetches = sets.total() + bad.counts.total(), place.local_rank == 0
    with (
        _shown(progress.fetching(sets.total()), place) as advance,
        Preparer(settings, way, work, bad, total, advance, fetches) as preparer,
    ):
        if fetches:
            missing = [rows for rows in sets.rows.values() if not preparer.is_there(rows)]
            check_room(work, size_bytes(sum(map(len, missing)), way))
        stop.listen(lambda: preparer.interrupt(Stopped()))
        try:
            return {name: preparer.prepare(rows) for name, rows in sets.rows.items()}
        except Stopped:
            leave(work)  # before the preparer waits for running fetches


def _fine_tune(
    settings: Settings, asked: Asked, prepared: dict[str, Prepared], checkpoints: Path, stop: Stop,
    place: Launched,
) -> dict[str, Any]:  # fmt: skip
    """Return the report of the training, as JSON has it. Raises Stopped, NotWritten."""
    from model.training.fine_tune import fine_tune
    from model.training.options import TrainOptions
    from model.training.run import Interrupted, WorseThanBase

    own_bytes = None if (memory := memory_bytes()) is None else memory // place.here
    options = TrainOptions(**asked.options, checkpoints=checkpoints, memory_bytes=own_bytes)
    train, held_out = prepared["train"].pairs, prepared["held_out"].pairs
    forgetting = prepared["forgetting"].pairs if "forgetting" in prepared else None
    stop.listen(lambda: None)
    output = Path(asked.output)
    try:
        with _shown(progress.training(), place) as told:
            report = fine_tune(
                _base(settings), train, held_out, options, output, forgetting, told,
                lambda: stop.is_asked,
            )  # fmt: skip
    except Interrupted as exc:
        raise Stopped from exc
    except WorseThanBase as exc:
        raise NotWritten(str(exc), exc.report.as_dict()) from exc
    return report.as_dict()
