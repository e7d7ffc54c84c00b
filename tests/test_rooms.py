"""Rooms stay small: what a newcomer sees of a folder fits on a screen."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("deploy", "serve", "inference", "model")
MOST_ENTRIES, MOST_LAYERS = 14, 10
# Data, drawings and the files of a page.
ASIDE = {"builtin", "screens", "known", "page", "drawing", "__pycache__"}


def folders():
    for package in PACKAGES:
        for folder in (ROOT / package, *(ROOT / package).rglob("*/")):
            if not ASIDE & set(folder.relative_to(ROOT).parts):
                yield folder


@pytest.mark.parametrize("folder", list(folders()), ids=lambda one: str(one.relative_to(ROOT)))
def test_a_room_has_few_files(folder):
    entries = sorted(one.name for one in folder.iterdir() if one.name not in ASIDE)
    assert "__init__.py" in entries
    assert len(entries) <= MOST_ENTRIES


def test_a_contract_has_few_layers():
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    layers = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    assert len(layers) > len(PACKAGES)
    assert all(len(one) <= MOST_LAYERS for one in layers)
