"""Writes golden vectors of the small models, for a test that needs no open_clip.

    OPENCLIP_PYTHON=.openclip/bin/python .venv/bin/python -m tests.openclip.golden

Of each model a folder gets `open_clip_config.json`, the tokenizer where it has one, `model.json`
(names and shapes of weights, whose values follow from SEED, and texts) and `found.npz`.
`picture.png` is the picture.
"""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from safetensors import safe_open

from tests.images import encode, speckles
from tests.openclip.answers import ask

GOLDEN = Path(__file__).parents[1] / "model" / "convert" / "golden"
MODELS = (
    "small-vit", "small-vit-squash", "small-rn", "small-siglip", "small-siglip2", "small-convnext",
    "small-convnext-mlp",
)  # fmt: skip
TEXTS = ["a dark login screen", "Pricing  cards, it's 2024"]


def main():
    # Noise at a third of its size, so that one px more or less of a crop shows.
    picture = encode(speckles(23, 16).resize((69, 48)))
    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / "picture.png").write_bytes(picture)
    with tempfile.TemporaryDirectory() as temporary:
        for name in MODELS:
            write(ask(name, Path(temporary) / name, [picture], TEXTS), GOLDEN / name)


def write(answer, folder):
    folder.mkdir(exist_ok=True)
    for path in answer.source.glob("*.json"):
        shutil.copy(path, folder)
    with safe_open(answer.source / "open_clip_model.safetensors", "numpy") as held:
        shapes = {name: held.get_slice(name).get_shape() for name in sorted(held.keys())}
    (folder / "model.json").write_text(json.dumps({"texts": TEXTS, "shapes": shapes}) + "\n")
    np.savez_compressed(
        folder / "found.npz",
        images=answer.images, texts=answer.texts, pixels=answer.pixels, ids=answer.ids,
    )  # fmt: skip


if __name__ == "__main__":
    main()
