"""The form of the output: as asked, else by the suffix of the file. Imports little."""

from __future__ import annotations

import sys
from pathlib import PurePath

import click

FORMS = ("table", "jsonl", "npy")
BY_SUFFIX = {".jsonl": "jsonl", ".ndjson": "jsonl", ".npy": "npy"}


def chosen_form(asked: str | None, output: str | None) -> str:
    """Return `table`, `jsonl` or `npy`. asked: by `--format`. output: None is standard output.

    Raises:
        UsageError: the form would be of no use there, or the file's name does not say it.
    """
    if output is None:
        if asked == "npy" and sys.stdout.isatty():
            raise click.UsageError("npy is binary, not for a terminal: give -o FILE, or pipe it")
        return asked or "table"
    if asked == "table":
        raise click.UsageError("a table is for a terminal; a file takes --format jsonl or npy")
    form = asked or BY_SUFFIX.get(PurePath(output).suffix.lower())
    if form is None:
        raise click.UsageError(f"-o {output}: end the name in .jsonl or .npy, or give --format")
    return form
