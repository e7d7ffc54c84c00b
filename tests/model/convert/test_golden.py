"""What `sweetspot convert` makes of a folder of open_clip, against vectors of open_clip's code.

`make parity-openclip` compares the same with open_clip itself. tests/openclip/golden.py wrote the
vectors: open_clip 3.3.0, torchvision 0.28.0, torch 2.13.0, Pillow 13.0.0.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from model.checkpoints.checkpoint import verify
from model.checkpoints.tokenizer import Tokenizer
from model.config import ModelConfig
from model.convert.convert import convert
from model.fidelity.cosines import fidelity
from model.load import load
from tests.openclip.rules import with_end_after
from tests.openclip.weights import weights

GOLDEN = Path(__file__).with_name("golden")


@pytest.mark.parametrize("name", ["small-vit", "small-vit-squash", "small-rn"])
def test_a_folder_of_open_clip_embeds_as_open_clip_does(name, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    shutil.copytree(GOLDEN / name, source)
    described = json.loads((source / "model.json").read_text())
    save_file(weights(described["shapes"]), source / "open_clip_model.safetensors")
    assert convert(str(source), target, None, str).below == []
    encoder = load(ModelConfig(model=str(target), device="cpu", policy="reference"))
    pixels = encoder.spec.preprocessing((GOLDEN / "picture.png").read_bytes())
    texts = described["texts"]
    ids, _ = Tokenizer.of_checkpoint(verify(target))(texts)
    with np.load(source / "found.npz") as found:
        np.testing.assert_array_equal(pixels, found["pixels"][0])
        np.testing.assert_array_equal(ids, with_end_after(found["ids"])[:, : ids.shape[1]])
        for ours, key in (
            (encoder.encode_images(pixels[None]), "images"),
            (encoder.encode_texts(texts)[0], "texts"),
        ):
            row = fidelity(ours, found[key])
            assert row.plain.min >= 0.99999
            assert row.max_difference <= 1e-4
    encoder.close()
