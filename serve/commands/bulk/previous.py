"""An earlier job's output: what it has of a URL, so that only what changed is embedded.

_previous.npy    where the earlier job has each URL, by a hash of the URL; sorted
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from cachetools import LRUCache

from inference.fetching.header_values import is_etag
from model.encoder import Float32Array
from serve.commands.bulk.job import JOB, Model
from serve.commands.bulk.output.formats import PARQUET, files_of
from serve.commands.bulk.output.outcomes import FIELD_NAMES, Outcome, Outcomes
from serve.commands.bulk.output.part_files import Pieces
from serve.commands.tables.errors import JobError
from serve.commands.tables.place import Place

INDEX = "_previous.npy"
ENTRY = np.dtype([("hash", "<u8"), ("piece", "<u4"), ("row", "<u4")])
# Pieces of the earlier output in memory: an input in much the same order needs few at a time.
HELD_PIECES = 6


@dataclass(frozen=True)
class Earlier:
    """The output of an earlier job. Can be pickled."""

    place: Place
    dimension: int
    pieces: Pieces


class Known(NamedTuple):
    """What is known of a URL. etag: None if it cannot be sent. vector: float32 [D]."""

    etag: str | None
    outcome: Outcome
    vector: Float32Array


def open_previous(given: str, model: Model, dtype: str) -> Earlier:
    """Find the output of an earlier job.

    Raises:
        JobError: there is none, or it was made by another model or in another precision. OSError.
    """
    place = Place.of(given)
    if not place.exists(JOB):
        raise JobError(f"--previous {given} holds no job")
    kept = json.loads(place.read(JOB))
    if kept.get("fingerprint") != model.fingerprint:
        raise JobError(f"--previous {given} was made by another model, precision or --preprocess")
    if kept.get("dtype") != dtype:
        raise JobError(f"--previous {given} holds {kept.get('dtype')}, and this job {dtype}")
    pieces = files_of(kept.get("format", PARQUET), place).pieces()
    return Earlier(place, model.dimension, pieces)


def write_index(pieces: Pieces, output: Place) -> None:
    """Write where the earlier output has each URL. It takes 16 bytes a URL. Raises OSError."""
    found = [_entries(pieces, number) for number in pieces.numbers()]
    index = np.concatenate([np.empty(0, ENTRY), *found])
    index.sort(order="hash", kind="stable")
    file = io.BytesIO()
    np.save(file, index)
    output.write(INDEX, file.getvalue())


class Previous:
    """Looks URLs up. Thread-safe."""

    def __init__(self, previous: Earlier, output: Place) -> None:
        self._pieces, self._dimension = previous.pieces, previous.dimension
        self._index = _read_index(output)
        self._held: LRUCache[int, pa.Table] = LRUCache(HELD_PIECES)
        self._lock = threading.Lock()

    def of(self, urls: Sequence[str | None]) -> dict[int, Known]:
        """Return what is known of URLs, by their index. Raises OSError."""
        wanted = self._places(urls)
        found: dict[int, Known] = {}
        for piece in sorted({piece for piece, _ in wanted.values()}):
            rows = {index: row for index, (one, row) in wanted.items() if one == piece}
            found |= dict(self._known(piece, rows, urls))
        return found

    def _places(self, urls: Sequence[str | None]) -> dict[int, tuple[int, int]]:
        """Return piece and row of the URLs that may be known: two URLs may have one hash."""
        given = [(index, url) for index, url in enumerate(urls) if url]
        hashes = np.array([_hash(url) for _, url in given], np.uint64)
        places = np.searchsorted(self._index["hash"], hashes)
        found = {}
        for (index, _), wanted, place in zip(given, hashes, places, strict=True):
            if place < len(self._index) and self._index["hash"][place] == wanted:
                entry = self._index[place]
                found[index] = int(entry["piece"]), int(entry["row"])
        return found

    def _known(
        self, piece: int, rows: Mapping[int, int], urls: Sequence[str | None]
    ) -> Iterator[tuple[int, Known]]:
        table = self._table(piece).take(pa.array(list(rows.values()), pa.int64()))
        outcomes = Outcomes(len(rows), self._dimension)
        outcomes.restore(range(len(rows)), table, ["unchanged"] * len(rows))
        for place, (index, url) in enumerate(zip(rows, table["url"].to_pylist(), strict=True)):
            outcome = outcomes.found[place]
            if url == urls[index] and outcome is not None:
                etag = outcome.etag if outcome.etag and is_etag(outcome.etag) else None
                yield index, Known(etag, outcome, outcomes.vectors[place])

    def _table(self, piece: int) -> pa.Table:
        with self._lock:
            if (held := self._held.get(piece)) is None:
                columns = ["url", "embedding", *FIELD_NAMES]
                held = self._held[piece] = self._pieces.take(piece, columns)
            return held


def _entries(pieces: Pieces, piece: int) -> np.ndarray:
    """Return the entries of the rows of a piece that have a URL and an embedding."""
    table = pieces.take(piece, ["url", "error_code"])
    rows = zip(table["url"].to_pylist(), table["error_code"].to_pylist(), strict=True)
    found = [(_hash(url), piece, row) for row, (url, code) in enumerate(rows) if url and not code]
    return np.array(found, ENTRY)


def _hash(url: str) -> int:
    digest = hashlib.blake2b(url.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _read_index(output: Place) -> np.ndarray:
    """Read the index; of a disk only the pages that are needed."""
    index: np.ndarray = (
        np.load(output.path(INDEX), mmap_mode="r")
        if output.is_local
        else np.load(io.BytesIO(output.read(INDEX)))
    )
    return index
