"""The demonstration's pairs on disk: a team's panels, and screens of the base's own kind."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import NamedTuple

from examples.train_demo.panels import Panel, caption, draw, panels
from model.synthetic.attributes import combinations
from model.synthetic.captions import caption as caption_of
from model.synthetic.thumbnails import draw as draw_screen
from model.training.builtin_model.retrieval import EVALUATION_SEED

HELD_OUT_FILES, OWN_SCREENS = 8, 240
TABLE = "pairs.jsonl"


class Sets(NamedTuple):
    """Tables of pairs. own: of the base's task; its training has seen none of them."""

    train: Path
    held_out: Path
    own: Path


def write_sets(folder: Path, most: int) -> Sets:
    """Draw the panels, and screens as the base knows them; at most so many of each."""
    train, held_out = divided()
    return Sets(
        _write_panels(folder / "train", train[:most]),
        _write_panels(folder / "held-out", held_out[:most]),
        _write_own(folder / "own", most),
    )


def divided() -> tuple[list[Panel], list[Panel]]:
    """Return the panels to train on, and those of the files that are held out."""
    every = panels()
    out = random.Random(5).sample(sorted({one.file for one in every}), HELD_OUT_FILES)
    return [one for one in every if one.file not in out], [one for one in every if one.file in out]


def _write_panels(folder: Path, chosen: list[Panel]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, panel in enumerate(chosen):
        draw(panel, seed=0).save(folder / f"{number}.png")
        rows.append({"image": f"{number}.png", "text": caption(panel), "file": panel.file})
    return _write_table(folder, rows)


def _write_own(folder: Path, most: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    dice, rows = random.Random(0), []
    chosen = dice.sample(combinations(), OWN_SCREENS)
    for number, screen in enumerate(chosen[:most]):
        draw_screen(screen, EVALUATION_SEED + number).save(folder / f"{number}.png")
        rows.append({"image": f"{number}.png", "text": caption_of(screen, dice)})
    return _write_table(folder, rows)


def _write_table(folder: Path, rows: list[dict[str, str]]) -> Path:
    table = folder / TABLE
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return table
