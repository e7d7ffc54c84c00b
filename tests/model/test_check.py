"""What `sweetspot check` holds against floors, and what it says it does not."""

import numpy as np
import pytest
from click.testing import CliRunner

from model.backends.export import copy_checkpoint, save
from model.backends.openvino_encoder import OpenVinoEncoder
from model.checkpoints.checkpoint import verify
from model.config import ModelConfig
from model.fidelity.check import ODD_TEXTS, Expected
from model.fidelity.parity import Reference
from serve.cli import check

FLOORS = {"min_cosine": 0.99, "min_overlap": 0.9}


class Elsewhere(Reference):
    """Has the texts for which `moved` is true where no encoder has them."""

    def __init__(self, folder, moved):
        super().__init__(folder)
        self._moved = moved

    def embed_texts(self, texts):
        signs = [-1 if self._moved(text) else 1 for text in texts]
        return np.float32(signs)[:, None] * super().embed_texts(texts)


@pytest.fixture
def artifact(small_checkpoint, small_on_openvino, tmp_path):
    """Makes an artifact: graphs of float32 under the name of int8, with a report."""

    def make(*, generated):
        checkpoint = verify(small_checkpoint)
        encoder = small_on_openvino
        graphs = {name: encoder.graph(name) for name in ("image", "text")}
        copy_checkpoint(checkpoint, tmp_path)
        report = {"floors": FLOORS, "generated": generated}
        save(tmp_path, "int8", checkpoint, graphs, encoder.tokenizer, report)
        return verify(tmp_path)

    return make


def judged(checkpoint, moved, precision="int8"):
    expected = Expected(checkpoint, 16, Elsewhere(checkpoint.folder, moved))
    config = ModelConfig(precision=precision, policy="reference", device="cpu")
    return expected.judge(OpenVinoEncoder(checkpoint, config))


def test_in_int8_odd_texts_are_apart_and_not_judged(artifact):
    """No scale was calibrated on a letter that comes 300 times."""
    checkpoint = artifact(generated=True)
    row = judged(checkpoint, lambda text: text in ODD_TEXTS)
    assert row.below == []
    assert row.not_judged == ["odd texts, of cosines from -1.0000"]
    assert row.texts.count == 16
    assert judged(checkpoint, lambda text: text not in ODD_TEXTS).below
    float32 = judged(checkpoint, lambda text: text in ODD_TEXTS, "float32")
    assert float32.below
    assert float32.not_judged == []


def test_what_the_gate_judged_on_the_users_own_is_said_not_to_be_judged(artifact):
    folder = artifact(generated=False).folder
    ran = CliRunner().invoke(check, ["--model", str(folder), "--images", "16"])
    words = " ".join(ran.output.split())
    assert (
        "openvino int8: passes; not judged: cosines, since the gate judged them on items of your "
        "own, odd texts, of cosines from 1.0000"
    ) in words
    assert ran.exit_code == 0
