"""Rows to pairs: their images by the service's own pipeline, once for all runs."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from inference.config import BatchConfig
from inference.engine.unforeseen import Unforeseen
from inference.preparation.open_stage import open_stage
from inference.preparation.order import Stage
from inference.preparation.pixels import PixelStream
from inference.types import Failure, ImageBytes, ImageFile, ImageUrl, Item
from model.images.preprocess import ImagePreprocessing
from model.training.pairs import Pairs
from serve.commands.signals import Interrupted
from serve.commands.tables.errors import JobError
from serve.commands.train.data.bad_rows import BadRows
from serve.commands.train.data.parquet_images import Cells
from serve.commands.train.data.rows import BadRow, Cell, Member, Row, name_of
from serve.commands.train.pixels.store import (
    Outcome,
    Stored,
    digest_of,
    find_stored,
    place_of,
    store,
)
from serve.compose import engine_config, fetch_config
from serve.plan import Plan, threads_for
from serve.settings import Settings

BUFFER_BYTES = 8 * 2**20
# A process that waits for another's pixels: how often it looks, and for how long.
LOOK_EVERY_S, LONGEST_WAIT_S = 0.2, 3 * 24 * 3600.0


@dataclass(frozen=True)
class Prepared:
    """Pairs of the good rows, and the digest of their pixels."""

    pairs: Pairs
    rows: list[Row]
    sha256: str


class Preparer:
    """Prepares sets of rows; use it in `with`. way: as in serving. folder: where pixels are kept.

    bad, total: bad rows so far, and the number of all rows, good and bad, to end a job that has too
    many. advance: told how many more rows are done. fetches: False waits for the pixels that
    another process of this machine makes.
    """

    def __init__(
        self,
        settings: Settings,
        way: ImagePreprocessing,
        folder: Path,
        bad: BadRows,
        total: int,
        advance: Callable[[int], object] = lambda _: None,
        fetches: bool = True,
    ) -> None:
        self._settings, self._way, self._folder = settings, way, folder
        self._bad, self._total, self._advance = bad, total, advance
        self._fetches, self._unforeseen = fetches, Unforeseen()
        self._stage: Stage | None = None
        self._stream: PixelStream | None = None
        self._stopped: Exception | None = None

    def __enter__(self) -> Self:
        """Return it. Threads and processes start when they are first needed."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Release them, and wait for running fetches, except at the end of the process."""
        if self._stage is not None and kind is not Interrupted:
            self._stage.close()

    def interrupt(self, why: Exception) -> None:
        """Make `prepare` raise `why`; a signal handler may call it."""
        self._stopped = why
        if self._stream is not None:
            self._stream.interrupt(why)

    def prepare(self, rows: Sequence[Row]) -> Prepared:
        """Return the pairs of a set; fetch its images if their pixels are not there yet.

        Raises:
            JobError: too many rows are bad, a tar cannot be read, or the disk is full.
            Exception: as given to `interrupt`.
        """
        place = place_of(self._folder, digest_of(rows, self._way))
        stored = find_stored(place) if self._fetches else self._wait_for(place)
        if stored is None:
            with closing(self._outcomes(rows)) as outcomes:
                stored = store(place, len(rows), self._way.size, outcomes, self._teller(rows))
        else:
            for row, (code, message) in stored.failed.items():
                self._bad.add(code, rows[row].where, message)
            self._advance(len(rows))
        self._bad.check(self._total)
        if not stored.kept:
            raise JobError("no image is left")
        return _prepared(rows, stored)

    def _wait_for(self, place: Path) -> Stored:
        """Wait for what another process stores. If that one fails, torchrun ends this one."""
        last_s = time.monotonic() + LONGEST_WAIT_S
        while (stored := find_stored(place)) is None:
            if self._stopped is not None:
                raise self._stopped
            if time.monotonic() > last_s:
                raise JobError(f"no other process has written the pixels to {place}")
            time.sleep(LOOK_EVERY_S)
        return stored

    def is_there(self, rows: Sequence[Row]) -> bool:
        """Whether the pixels of a set are kept from an earlier run."""
        return find_stored(place_of(self._folder, digest_of(rows, self._way))) is not None

    def _teller(self, rows: Sequence[Row]) -> Callable[[int, Failure | None], None]:
        def told(index: int, failure: Failure | None) -> None:
            self._advance(1)
            if failure is not None:
                self._bad.add(failure.code, rows[index].where, failure.message)
                self._bad.check(self._total)

        return told

    def _outcomes(self, rows: Sequence[Row]) -> Generator[tuple[int, Outcome]]:
        absent: dict[int, Failure] = {}
        items = _items(rows, self._settings.max_image_bytes, absent)
        with closing(self._opened().pixels(items)) as found:
            for index, outcome in found:
                if isinstance(outcome, Exception):
                    yield index, self._unforeseen.failure(outcome)
                else:
                    yield index, outcome
        yield from absent.items()

    def _opened(self) -> PixelStream:
        """Open the threads or processes of a service with these settings."""
        if self._stream is None:
            settings, threads = self._settings, threads_for(self._settings, "cpu")
            config = engine_config(settings, Plan(BatchConfig(), BatchConfig(), threads))
            self._stage = open_stage(fetch_config(settings, threads.io), config, self._way)
            patience_s = settings.deadline_ms / 1000
            self._stream = PixelStream(self._stage, config, self._way, patience_s)
        if self._stopped is not None:
            raise self._stopped
        return self._stream


def _items(
    rows: Sequence[Row], max_bytes: int, absent: dict[int, Failure]
) -> Iterator[tuple[int, Item]]:
    """Yield what is to be prepared of each row. Raises JobError: a file cannot be read.

    absent: gets the rows whose place in a file turns out to hold no image.
    """
    most = max_bytes + 1  # one byte more than is allowed: the stage then says so
    with _Tars() as tars, Cells() as cells:
        for index, row in enumerate(rows):
            image = row.image
            if isinstance(image, ImageUrl | ImageFile):
                yield index, image
                continue
            try:
                if isinstance(image, Cell):
                    item: Item = cells.read(image, most)
                else:
                    item = ImageBytes(tars.read(image, most))
            except BadRow as exc:
                absent[index] = Failure(exc.code, str(exc), retryable=False)
                continue
            except OSError as exc:
                raise JobError(f"{image.path} cannot be read: {exc}") from exc
            yield index, item


class _Tars:
    """Reads tars from begin to end, one at a time."""

    def __init__(self) -> None:
        self._path, self._opened = "", io.BufferedReader(io.BytesIO())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def read(self, image: Member, most: int) -> bytes:
        """Return an image's bytes, at most so many. Raises OSError."""
        if self._path != image.path:
            self._opened.close()
            raw: Any = image.place.files.open_input_file(image.path)
            self._path, self._opened = image.path, io.BufferedReader(raw, BUFFER_BYTES)
        self._opened.seek(image.offset)
        return self._opened.read(min(image.size, most))


def _prepared(rows: Sequence[Row], stored: Stored) -> Prepared:
    kept = [rows[index] for index in stored.kept]
    groups = [name_of(row.image) if row.group is None else row.group for row in kept]
    pairs = Pairs(stored.pixels, [row.captions for row in kept], groups)
    return Prepared(pairs, kept, stored.sha256)
