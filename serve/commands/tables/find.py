"""The files of an input: a file, a glob, or all files of a folder, on a disk or in S3."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import NamedTuple

from pyarrow import fs

from serve.commands.tables.errors import JobError
from serve.commands.tables.place import MAGIC, Found, Place

PARQUET, JSON_LINES, CSV, LINES = "parquet", "jsonl", "csv", "lines"
# Forms by the end of a file's name. A file of another name holds plain lines if it is named itself.
FORMS = {
    ".parquet": PARQUET,
    ".pq": PARQUET,
    ".jsonl": JSON_LINES,
    ".ndjson": JSON_LINES,
    ".csv": CSV,
    ".txt": LINES,
}
COMPRESSED = (".gz", ".zst", ".bz2", ".xz", ".zip")
# What is surely no list of URLs, one a line.
OTHERS = (".json", ".tsv", ".arrow", ".feather", ".orc", ".avro", ".xlsx", ".xml")


class Source(NamedTuple):
    """The files of an input, in the order of their paths. form: of all of them."""

    place: Place
    form: str
    found: list[Found]


def find(
    inputs: Sequence[str], output: str, more: Mapping[str, str] = MappingProxyType({})
) -> Source:
    """Find the files of an input, without those of the output.

    more: forms besides FORMS, by the end of a file's name.

    Raises:
        JobError: nothing is there, or the files cannot be read together.
    """
    forms = {**FORMS, **more}
    places = [Place.of(one) for one in inputs]
    if any(one.files != places[0].files for one in places):
        raise JobError("the inputs are on different file systems")
    try:
        found = [
            one
            for given, place in zip(inputs, places, strict=True)
            for one in _at(given, place, forms)
        ]
    except OSError as exc:
        raise JobError(f"the input cannot be listed: {exc}") from exc
    own = Place.of(output)
    beside = [one for one in found if not own.holds(places[0], one.path)]
    unique = sorted(set(beside))
    if not unique:
        raise JobError(f"{', '.join(inputs)} names no file but the output's")
    return Source(places[0], _form(inputs, unique, forms), unique)


def _at(given: str, place: Place, forms: Mapping[str, str]) -> list[Found]:
    info = place.files.get_file_info(place.root)
    if info.type == fs.FileType.File:
        found = [_found(info)]
    elif info.type == fs.FileType.Directory:
        found = [one for one in _below(place, place.root) if _is_table(one.path, forms)]
    else:
        found = _matching(place) if MAGIC.search(place.root) else []
    if not found:
        raise JobError(f"{given} names no file")
    return found


def _matching(place: Place) -> list[Found]:
    """Return the files whose path matches a pattern, part by part; `*` matches no slash."""
    wanted = place.root.split("/")
    fixed = next(index for index, part in enumerate(wanted) if MAGIC.search(part))
    below = _below(place, "/".join(wanted[:fixed]) or "/")
    return [one for one in below if _matches(one.path.split("/"), wanted)]


def _matches(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _below(place: Place, root: str) -> list[Found]:
    """Return the files below a folder, without hidden ones and those of jobs and tools."""
    infos = place.files.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
    return [
        _found(info)
        for info in infos
        if info.type == fs.FileType.File and not re.search(r"/[._]", info.path[len(root) :])
    ]


def _found(info: fs.FileInfo) -> Found:
    return Found(info.path, info.size, str(info.mtime_ns))


def _form_of(path: str, forms: Mapping[str, str]) -> str | None:
    return next((form for end, form in forms.items() if path.lower().endswith(end)), None)


def _is_table(path: str, forms: Mapping[str, str]) -> bool:
    """Whether a file of a folder is meant: also one that is compressed, which is refused then."""
    name = path.lower()
    return any(_form_of(name.removesuffix(end), forms) for end in ("", *COMPRESSED))


def _form(inputs: Sequence[str], found: Sequence[Found], known: Mapping[str, str]) -> str:
    for one in found:
        if one.path.lower().endswith(COMPRESSED):
            raise JobError(f"{one.path} is compressed as a whole; decompress it, or use Parquet")
        if one.path.lower().endswith(OTHERS):
            raise JobError(
                f"{one.path} is no Parquet, JSON Lines, CSV or list of lines by its name"
            )
    forms = {_form_of(one.path, known) or LINES for one in found}
    if len(forms) > 1:
        raise JobError(
            f"{', '.join(inputs)} holds files of several forms: {', '.join(sorted(forms))}"
        )
    return forms.pop()
