"""Asks open_clip's own environment.

`make parity-openclip` makes the environment and says where it is.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.convert.convert import convert
from model.synthetic.thumbnails import sample
from tests.images import encode, picture
from tests.openclip.tokenizers import TOKENIZERS

ROOT = Path(__file__).parents[2]
# open_clip repairs nothing in these.
PLAIN = [
    "a dark login screen", "Hello  WORLD!", "it's 2024; they'll pay $9.99", "café, naïve, ü ß", "?",
    "設定画面 👩 ok", "pricing\tcards\non a phone ", "a_b-c/d.e@f <b>bold</b>", "many words " * 60,
    "",
]  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What open_clip made of the model in `source`. cleaned: the texts as it repairs them."""

    source: Path
    images: np.ndarray
    texts: np.ndarray
    pixels: np.ndarray
    ids: np.ndarray
    cleaned: list[str]


def ask(name, folder, pictures, texts):
    """Make a model of a name in a new folder, and embed encoded pictures and texts."""
    inside = folder / "pictures"
    inside.mkdir(parents=True)
    for index, data in enumerate(pictures):
        (inside / f"{index:03}").write_bytes(data)
    (folder / "texts.json").write_text(json.dumps(texts))
    (folder / "tokenizer").mkdir()
    if name in TOKENIZERS:
        TOKENIZERS[name](folder / "tokenizer")
    python = ROOT / os.environ["OPENCLIP_PYTHON"]
    asked = subprocess.run(
        [python, "-m", "tests.openclip.embed", name, folder],
        cwd=ROOT, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    cleaned = json.loads((folder / "cleaned.json").read_text())
    with np.load(folder / "found.npz") as found:
        return Answer(folder / "model", **found, cleaned=cleaned)


def converted(answer):
    """Convert its folder beside it, and return the folder of the result."""
    target = answer.source.with_name("converted")
    assert convert(str(answer.source), target, None, str).below == []
    return target


def pictures_for(side):
    """Thumbnails, and pictures whose longer side is resized to 0..7 px more than S. side: S."""
    sizes = [(2 * (side + more), 2 * side) for more in range(8)] + [(2 * side, 2 * side + 22)]
    return [
        *(sample(seed).data for seed in range(4)),
        *(encode(picture(*size, seed=size[0])) for size in sizes),
        encode(picture(side, side)),
        encode(picture(31, 17), "JPEG"),
    ]
