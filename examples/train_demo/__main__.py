"""Fine-tune the built-in model on screens that it does not know, and show what that brings.

    python -m examples.train_demo [--output demo/train]

A team draws panels of a cockpit. Some of its drawing files are held out. All weights are trained,
then branches of LoRA, and half of the first is mixed with half of the base.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from examples.train_demo.dataset import Sets, write_sets
from sweetspot import main

DIRECTIONS = ("text_to_image", "image_to_text")
HALF = 0.5
# Small batches: 320 panels give few steps otherwise. A rate of half the default, since that forgets
# less of the base; branches of LoRA take ten times the rate of all weights.
EPOCHS, BATCH, RATE, LORA_RATE = 14, 16, 6e-5, 6e-4


def demonstrate() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--output", type=Path, default=Path("demo/train"))
    options.add_argument("--panels", type=int, default=10_000, help="at most, of each side")
    options.add_argument("--epochs", type=int, default=EPOCHS)
    asked = options.parse_args()
    shutil.rmtree(asked.output, ignore_errors=True)
    page = asked.output / "page.html"
    sets = write_sets(asked.output / "pairs", asked.panels)
    how = ("--epochs", str(asked.epochs), "--batch-size", str(BATCH))
    page_of_all = ("--sweep", "--report", str(page))
    full = train(sets, asked.output / "full", RATE, *how, *page_of_all)
    lora = train(sets, asked.output / "lora", LORA_RATE, *how, "--lora", "16")
    Console().print(table(full, lora))
    print(f"curves, interpolation and the hardest misses: {page}")


def train(sets: Sets, output: Path, rate: float, *words: str) -> dict[str, Any]:
    """Train by the command, and return its record."""
    flags = ("--group-column", "file", "--work", str(output.parent / "work"), "--keep-worse",
             "--learning-rate", str(rate))  # fmt: skip
    given = ("--data", sets.train, "--validation", sets.held_out, "--forgetting", sets.own)
    try:
        main(["train", *map(str, given), "-o", str(output), *flags, *words])
    except SystemExit as exc:
        if exc.code:
            raise
    found: dict[str, Any] = json.loads((output / "training.json").read_text(encoding="utf-8"))
    return found


def table(full: dict[str, Any], lora: dict[str, Any]) -> Table:
    """Compare recall at 1 of the base and of what came of it."""
    half = next(one for one in full["sweep"] if one["share"] == HALF)
    shown = Table("recall@1", "panels: text to image", "image to text",
                  "the base's own: text to image", "image to text", "trained for, s",
                  box=None)  # fmt: skip
    shown.add_row("base", *_recalls(full["before"]), "")
    shown.add_row("all weights", *_recalls(full["after"]), f"{full['took_s']:.0f}")
    shown.add_row("LoRA of rank 16", *_recalls(lora["after"]), f"{lora['took_s']:.0f}")
    shown.add_row("half of all weights, half of the base", *_recalls(half), "")
    return shown


def _recalls(found: dict[str, Any]) -> list[str]:
    return [f"{found[name][one]['1']:.3f}" for name in ("held_out", "forgetting")
            for one in DIRECTIONS]  # fmt: skip


if __name__ == "__main__":
    demonstrate()
