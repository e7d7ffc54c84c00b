"""What `sweetspot convert` makes of a folder of open_clip, against vectors of open_clip's code.

`make parity-openclip` compares the same with open_clip itself. tests/openclip/golden.py wrote the
vectors: open_clip 3.3.0, torchvision 0.28.0, torch 2.13.0, Pillow 13.0.0.
"""

import json

import numpy as np
import pytest

from model.checkpoints.checkpoint import verify
from model.config import ModelConfig
from model.convert.convert import convert
from model.fidelity.cosines import fidelity
from model.load import load
from tests.model.convert.sources import GOLDEN, golden
from tests.openclip.rules import filled

# The other kind of GELU in a small SigLIP makes 5e-5.
CLOSE = 5e-6


@pytest.mark.parametrize("name", sorted(one.name for one in GOLDEN.iterdir() if one.is_dir()))
def test_a_folder_of_open_clip_embeds_as_open_clip_does(name, tmp_path):
    source, target = golden(name, tmp_path / "source"), tmp_path / "target"
    assert convert(str(source), target, None, str).below == []
    encoder = load(ModelConfig(model=str(target), device="cpu", policy="reference"))
    pixels = encoder.spec.preprocessing((GOLDEN / "picture.png").read_bytes())
    texts = json.loads((source / "model.json").read_text())["texts"]
    checkpoint = verify(target)
    ids, _ = encoder.tokenizer(texts)
    with np.load(source / "found.npz") as found:
        np.testing.assert_array_equal(pixels, found["pixels"][0])
        np.testing.assert_array_equal(
            ids, filled(found["ids"], checkpoint.family)[:, : ids.shape[1]]
        )
        for ours, key in (
            (encoder.encode_images(pixels[None]), "images"),
            (encoder.encode_texts(texts)[0], "texts"),
        ):
            row = fidelity(ours, found[key])
            assert row.plain.min >= 0.99999
            assert row.max_difference <= CLOSE
    encoder.close()
