"""Gathers the packages at the root of the tree under one name.

    sweetspot.py   ->  sweetspot/__init__.py
    serve/...      ->  sweetspot/serve/...

and so for the others. `from serve.wire import a` becomes `from sweetspot.serve.wire import a`, and
nothing else of a file changes. A string that names a module would stay as it is, so the tree has
none: it uses `__name__` and `__package__`, which are right in both places. A test of the wheel
finds any that is left.
"""

from __future__ import annotations

import ast
import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

NAME = "sweetspot"
PACKAGES = ("deploy", "inference", "model", "serve")
# Its types are for those who import it (PEP 561).
TYPED = "py.typed"
MAIN = f'"""python -m {NAME}."""\n\nfrom {NAME} import main\n\nmain()\n'


def gather(tree: Path, target: Path) -> None:
    """Write what a wheel is built from into the empty folder `target`.

    Raises:
        ValueError: an import cannot be rewritten; the message names file and line.
    """
    home = target / NAME
    for name in PACKAGES:
        shutil.copytree(tree / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(tree / f"{NAME}.py", home / "__init__.py")
    for path in home.rglob("*.py"):
        path.write_bytes(qualified(path.read_bytes(), str(path.relative_to(target))))
    (home / "__main__.py").write_text(MAIN)
    (home / TYPED).touch()
    settings = (tree / "pyproject.toml").read_text()
    (target / "pyproject.toml").write_text(of_the_wheel(settings))
    described = tomllib.loads(settings)["project"]
    for name in (described["readme"], *described["license-files"]):
        shutil.copyfile(tree / name, target / name)


def qualified(source: bytes, name: str) -> bytes:
    """Return a module's source with its imports of our packages under the one name.

    Args:
        source: UTF-8.
        name: of the file, for messages.

    Raises:
        ValueError: a statement binds the name of a package itself, as `import serve.cli` does.
    """
    lines = source.splitlines(keepends=True)
    # From the end, so that what is inserted moves nothing that is still to come.
    for line, column in sorted(_places(source, name), reverse=True):
        text = lines[line - 1]
        lines[line - 1] = text[:column] + f"{NAME}.".encode() + text[column:]
    return b"".join(lines)


def _places(source: bytes, name: str) -> Iterator[tuple[int, int]]:
    """Yield line, from 1, and column, in bytes, of each module's name that needs the one name."""
    for node in ast.walk(ast.parse(source, name)):
        if isinstance(node, ast.ImportFrom) and not node.level and is_ours(node.module):
            yield node.lineno, node.col_offset + len("from ")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if is_ours(alias.name):
                    if alias.asname is None:
                        raise ValueError(
                            f"{name}:{node.lineno}: write `from ... import` or `as`, not "
                            f"`import {alias.name}`"
                        )
                    yield alias.lineno, alias.col_offset


def is_ours(module: str | None) -> bool:
    """Whether a module is of a package at the root of the tree."""
    return module is not None and module.partition(".")[0] in PACKAGES


def of_the_wheel(settings: str) -> str:
    """Return the pyproject.toml that a wheel is built by. settings: the tree's."""
    data = tomllib.loads(settings)["tool"]["setuptools"]["package-data"]
    project, _, _ = settings.partition("\n[tool.")  # the tools' tables are the last
    lines = [
        project,
        f'[tool.setuptools.packages.find]\ninclude = ["{NAME}*"]',
        "[tool.setuptools.package-data]",
        f'{NAME} = ["{TYPED}"]',
        # A list of strings is the same in JSON and in TOML.
        *(f'"{NAME}.{package}" = {json.dumps(files)}' for package, files in data.items()),
    ]
    return "\n".join(lines)
