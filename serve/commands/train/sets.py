"""The sets of one training: their rows, then their pairs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from model.images.preprocess import ImagePreprocessing
from serve.commands.train.asked import Asked
from serve.commands.train.data.bad_rows import BadRows
from serve.commands.train.data.read import read_rows
from serve.commands.train.data.rows import Row, name_of
from serve.commands.train.data.splits import apart, split
from serve.commands.train.pixels.prepare import Prepared
from serve.commands.train.pixels.store import size_bytes


@dataclass(frozen=True)
class Sets:
    """Rows by the name of their set: `train`, `held_out`, and `forgetting` if it was given.

    how: how rows were held out, as a sentence.
    """

    rows: dict[str, list[Row]]
    how: str

    def total(self) -> int:
        """Return the number of images."""
        return sum(map(len, self.rows.values()))

    def size_bytes(self, way: ImagePreprocessing) -> int:
        """Return the bytes of all pixels."""
        return size_bytes(self.total(), way)

    def words(self) -> str:
        """Return a sentence about the sets."""
        held_out = f"{len(self.rows['held_out']):,} held out {self.how}"
        forgetting = self.rows.get("forgetting")
        more = f"; {len(forgetting):,} of the base's own" if forgetting else ""
        return f"{len(self.rows['train']):,} images to train on, {held_out}{more}"


def read_sets(asked: Asked, bad: BadRows) -> Sets:
    """Read the rows of all sets, and hold some out. bad: counts the others.

    Raises:
        JobError: a table is missing or damaged, lacks a column, or too many rows are bad. OSError.
    """
    columns, output = asked.columns, asked.output
    rows = read_rows(asked.data, output, columns, bad)
    given = read_rows(asked.validation, output, columns, bad) if asked.validation else []
    own: list[Row] = []
    if asked.forgetting:  # other data, which has no groups of these
        own = read_rows(asked.forgetting, output, replace(columns, group=None), bad)
    bad.check(len(rows) + len(given) + len(own) + bad.counts.total())
    train, held_out, how = apart(rows, given) if asked.validation else split(rows)
    sets = {"train": train, "held_out": held_out} | ({"forgetting": own} if own else {})
    return Sets(sets, how)


def described(prepared: Prepared) -> dict[str, Any]:
    """Return the size and the digests of a set, for JSON. Images and captions have one each."""
    rows, digest = prepared.rows, hashlib.sha256()
    for row in rows:
        digest.update(repr((name_of(row.image), row.captions, row.group)).encode())
    groups = {row.group for row in rows if row.group is not None}
    return {
        "images": len(rows),
        "captions": sum(len(row.captions) for row in rows),
        "groups": len(groups),
        "rows_sha256": digest.hexdigest(),
        "pixels_sha256": prepared.sha256,
    }
