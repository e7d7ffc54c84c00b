"""WebDataset tars: files of one sample follow each other and share their name up to a dot.

Tars are read in place: nothing is extracted. Only headers, texts and JSON are read here; an image
is read when it is decoded.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import Any

from serve.commands.tables.errors import JobError
from serve.commands.tables.lines import json_row
from serve.commands.tables.place import Found, Place
from serve.commands.train.data.columns import TEXTS, Columns
from serve.commands.train.data.rows import BadRow, Member, Row, captions_of, group_of

TAR = "tar"
IMAGES = ("jpg", "jpeg", "png", "webp")
MEANT = (*IMAGES, "txt", "json")
# The largest header of a member, text or JSON that is read.
MAX_READ_BYTES = 2**20

# The members of a sample, by the end of their names.
Sample = dict[str, tarfile.TarInfo]


def samples(place: Place, found: Found, given: Columns) -> Iterator[Row | tuple[str, BadRow]]:
    """Yield the rows of a tar; of a bad one, where it is and why.

    Raises:
        JobError: it is no tar, is damaged, or holds a link, a device or a sparse file. OSError.
    """
    with place.files.open_input_file(found.path) as raw:
        file = _Bounded(raw)
        for key, sample in _grouped(found.path, file):
            where = f"{found.path} {key}"
            try:
                yield _row(place, found, given, sample, file, where)
            except BadRow as exc:
                yield where, exc


def _row(
    place: Place, found: Found, given: Columns, sample: Sample, file: _Bounded, where: str
) -> Row:
    ends = [one for one in IMAGES if one in sample]
    if not ends:
        raise BadRow("image_missing", f"the sample has no {', '.join(IMAGES)}")
    if len(ends) > 1:
        raise BadRow("row_invalid", "the sample has several images")
    values = _values(sample, file)
    if given.text is None and "txt" in sample:
        text: Any = file.member(sample["txt"]).decode(errors="surrogateescape")
    else:
        names = TEXTS if given.text is None else (given.text,)
        text = next((values[name] for name in names if name in values), None)
    group = None if given.group is None else group_of(values.get(given.group))
    image = sample[ends[0]]
    member = Member(place, found.path, found.version, image.offset_data, image.size)
    return Row(member, captions_of(text), group, where)


def _values(sample: Sample, file: _Bounded) -> dict[str, Any]:
    if "json" not in sample:
        return {}
    values = json_row(file.member(sample["json"]))
    if isinstance(values, str):
        raise BadRow("row_invalid", "its .json is no JSON object")
    return values


def _grouped(path: str, file: _Bounded) -> Iterator[tuple[str, Sample]]:
    """Yield the samples of a tar, in order, with the names that they share."""
    before: str | None = None
    sample: Sample = {}
    for member in _members(path, file):
        folder, slash, name = member.name.rpartition("/")
        stem, _, end = name.partition(".")
        key, end = folder + slash + stem, end.lower()
        if key != before and sample:
            yield before or "", sample
            sample = {}
        before = key
        if end in sample:
            raise JobError(f"{path} holds {member.name!r} twice in a row")
        if end in MEANT:
            sample[end] = member
    if sample:
        yield before or "", sample


def _members(path: str, file: _Bounded) -> Iterator[tarfile.TarInfo]:
    """Yield the files of a tar. Raises JobError."""
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            last = -1
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # else it keeps all
                if member.size < 0 or member.offset <= last:
                    raise JobError(f"{path} is damaged: {member.name!r} points back")
                last = member.offset
                if member.isdir():
                    continue
                if not member.isreg() or member.issparse():
                    raise JobError(f"{path} holds {member.name!r}, which is no plain file")
                yield member
    except (tarfile.TarError, ValueError) as exc:
        raise JobError(f"{path} is no tar, or damaged: {exc}") from exc


class _Bounded(io.BufferedReader):
    """A tar's bytes, of which no more than MAX_READ_BYTES are read at once."""

    def __init__(self, raw: Any) -> None:
        super().__init__(raw, MAX_READ_BYTES)

    def read(self, size: int | None = -1) -> bytes:
        """Read bytes. Raises tarfile.ReadError: a header asks for too many."""
        if size is None or not 0 <= size <= MAX_READ_BYTES:
            raise tarfile.ReadError("a header is too large")
        return super().read(size)

    def member(self, member: tarfile.TarInfo) -> bytes:
        """Return the content of a text. Raises BadRow: it is too large."""
        if member.size > MAX_READ_BYTES:
            raise BadRow("row_invalid", f"{member.name} has more than {MAX_READ_BYTES:,} bytes")
        self.seek(member.offset_data)
        return self.read(member.size)
