"""The demonstration of training: its domain is unknown to the base, and it runs to its end."""

import itertools
import json
import os
import re
import subprocess
import sys

from examples.train_demo.dataset import divided
from examples.train_demo.panels import caption, panels
from model.synthetic.captions import BEFORE, BEHIND, COLOUR_BEHIND, NOUNS, OPENINGS
from model.synthetic.screens.kinds import KINDS
from model.synthetic.screens.theme import ACCENTS
from tests.e2e.service import ROOT


def words_of(texts):
    return {word for text in texts for word in re.findall(r"[a-z]+", text.lower())}


def test_no_word_of_the_domain_was_in_the_training_of_the_base():
    known = itertools.chain(
        ACCENTS, NOUNS, OPENINGS, COLOUR_BEHIND, *BEFORE.values(), *BEHIND.values(),
        *(kind.names for kind in KINDS.values()),
    )  # fmt: skip
    asked = {caption(one) for one in panels()}
    assert len(asked) == len(panels())
    assert not words_of(asked) & words_of(known)


def test_the_demonstration_holds_out_whole_files_and_compares_all_ways(tmp_path):
    words = ["--panels", "36", "--epochs", "1", "--output", str(tmp_path)]
    ran = subprocess.run(
        [sys.executable, "-m", "examples.train_demo", *words],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "COLUMNS": "140"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    full, lora = (json.loads((tmp_path / name / "training.json").read_text())
                  for name in ("full", "lora"))  # fmt: skip
    assert full["data"]["train"]["images"] == full["data"]["held_out"]["images"] == 36
    assert full["data"]["split"] == "as given"
    assert (full["options"]["lora"], lora["options"]["lora"]) == (None, 16)
    shown = ran.stdout.splitlines()
    lines = {"base": full["before"], "all weights": full["after"],
             "LoRA of rank 16": lora["after"], "half of all": full["sweep"][2]}  # fmt: skip
    for name, found in lines.items():
        row = next(line for line in shown if line.strip().startswith(name))
        numbers = [f"{found[pairs][one]['1']:.3f}" for pairs in ("held_out", "forgetting")
                   for one in ("text_to_image", "image_to_text")]  # fmt: skip
        assert re.findall(r"[01]\.\d{3}", row) == numbers
    assert "Interpolation" in (tmp_path / "page.html").read_text()


def test_held_out_files_have_no_panel_in_training():
    train, held_out = divided()
    assert (len(train), len(held_out)) == (320, 64)
    assert not {one.file for one in train} & {one.file for one in held_out}
    assert {one.instrument for one in train} == {one.instrument for one in held_out}
