"""Which rows are held out. Pure.

A group is held out by a hash of its name alone. So it stays on its side when rows are added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from serve.commands.tables.errors import JobError
from serve.commands.train.data.rows import Row, name_of

HELD_OUT = 0.1
# With fewer groups, chance may hold out none of them, or half of the rows.
FEWEST_GROUPS = 20
# Of one pair nothing can be told: there is no other to take it for.
FEWEST_ROWS = 2
# The least and the largest share of rows that groups may hold out.
LEAST, MOST = 0.02, 0.3


class Split(NamedTuple):
    """Rows of both sides, in the order of the input. how: a sentence."""

    train: list[Row]
    held_out: list[Row]
    how: str


def split(rows: Sequence[Row]) -> Split:
    """Hold out a tenth by group; by row if there are no groups, or too few.

    Raises:
        JobError: there are too few rows to hold some out.
    """
    groups = {row.group for row in rows if row.group is not None}
    by_group = _divide(rows, [_drawn(row.group or "") < HELD_OUT for row in rows])
    share = len(by_group[1]) / max(len(rows), 1)
    enough = len(groups) >= FEWEST_GROUPS and len(by_group[1]) >= FEWEST_ROWS
    if enough and LEAST <= share <= MOST:
        held = len({row.group for row in by_group[1]})
        return Split(*by_group, f"by group, {held:,} of {len(groups):,} groups")
    why = f"{len(groups):,} groups are too few or too uneven" if groups else "there are no groups"
    return Split(*_by_row(rows), f"by row, because {why}")


def apart(rows: Sequence[Row], validation: Sequence[Row]) -> Split:
    """Leave out of training what shares an image or a group with the validation.

    Raises:
        JobError: nothing to speak of is left.
    """
    groups = {row.group for row in validation if row.group is not None}
    images = {name_of(row.image) for row in validation}
    train = [row for row in rows if row.group not in groups and name_of(row.image) not in images]
    if len(validation) < FEWEST_ROWS:
        raise JobError(f"--validation holds {len(validation)} images; it needs {FEWEST_ROWS}")
    if len(train) < FEWEST_ROWS:
        raise JobError(
            f"--data holds {len(train)} images that share no image or group with --validation; "
            f"it needs {FEWEST_ROWS}"
        )
    left_out = len(rows) - len(train)
    how = "as given"
    if left_out:
        how += f"; {left_out:,} rows of --data that share an image or a group with it are left out"
    return Split(train, list(validation), how)


def _by_row(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Hold out the tenth whose names have the least hashes. Raises JobError: too few rows."""
    count = max(FEWEST_ROWS, round(HELD_OUT * len(rows)))
    if len(rows) - count < FEWEST_ROWS:
        raise JobError(
            f"{len(rows):,} images are too few to hold some out; give others by --validation"
        )
    drawn = [_drawn(name_of(row.image)) for row in rows]
    last = sorted(drawn)[count - 1]
    return _divide(rows, [one <= last for one in drawn])


def _divide(rows: Sequence[Row], is_out: Sequence[bool]) -> tuple[list[Row], list[Row]]:
    sides: tuple[list[Row], list[Row]] = ([], [])
    for row, out in zip(rows, is_out, strict=True):
        sides[out].append(row)
    return sides


def _drawn(name: str) -> float:
    """Return a number from 0 to 1 that is always the same for a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
