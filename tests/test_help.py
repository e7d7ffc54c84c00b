"""What `--help` says of the commands of every group."""

import os
import re
import subprocess

import click
import pytest

from sweetspot import main
from tests.e2e.service import ROOT, command


def groups(group, *words):
    """The words that lead to each group, and the names of its commands."""
    context = click.Context(group)
    names = sorted(group.list_commands(context))
    yield words, names
    for name in names:
        if isinstance(one := group.get_command(context, name), click.Group):
            yield from groups(one, *words, name)


GROUPS = list(groups(main))


@pytest.mark.parametrize(
    ("words", "names"), GROUPS, ids=[" ".join(words) or "sweetspot" for words, _ in GROUPS]
)
def test_every_command_has_a_whole_line_in_a_terminal_of_80_columns(words, names):
    shown = subprocess.run(
        command(*words, "--help"),
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = shown[shown.index("\nCommands:\n") :].splitlines()[2:]
    said = [re.fullmatch(r"  (\w+) {2,}(\S.*[^.])\.", line) for line in lines]
    assert [one and one[1] for one in said] == names, shown


def test_groups_in_groups_are_found():
    assert {words for words, _ in GROUPS} >= {(), ("benchmark",), ("deploy",)}
