"""An int8 artifact without the weights in float32: the same embeddings; what needs them says so."""

import json
import tarfile

import numpy as np
import pytest
from click.testing import CliRunner

from deploy.artifact import contents, write
from model.backends.export import copy_checkpoint, save
from model.backends.openvino_encoder import OpenVinoEncoder
from model.checkpoints.checkpoint import verify, weights_bytes
from model.checkpoints.graphs import find
from model.config import ModelConfig
from model.errors import CheckpointError
from model.load import load, precheck
from sweetspot import main
from tests.checkpoints import make_siglip

REPORT = {"floors": {"min_cosine": 0.99, "min_overlap": 0.9}, "generated": True}
ALONE = "is missing: without it only the graphs in .*/openvino run, on a CPU in their own precision"


def artifact_of(source, folder, encoder):
    """Graphs of float32 under the name of int8; these keep what is asked of them here, too."""
    checkpoint = verify(source)
    graphs = {name: encoder.graph(name) for name in ("image", "text")}
    folder.mkdir()
    copy_checkpoint(checkpoint, folder)
    save(folder, "int8", checkpoint, graphs, encoder.tokenizer, REPORT)
    return folder


@pytest.fixture(params=["clip", "siglip"])
def whole(request, small_checkpoint, small_on_openvino, tmp_path):
    source, encoder = small_checkpoint, small_on_openvino
    if request.param == "siglip":
        source = make_siglip(tmp_path / "siglip", "siglip")
        encoder = OpenVinoEncoder(verify(source), ModelConfig(precision="float32"))
    return artifact_of(source, tmp_path / "artifact", encoder)


@pytest.fixture
def light(small_checkpoint, small_on_openvino, tmp_path):
    folder = artifact_of(small_checkpoint, tmp_path / "artifact", small_on_openvino)
    (folder / "model.safetensors").unlink()
    return folder


def test_it_is_the_same_checkpoint_and_gives_the_same_embeddings(whole):
    def seen():
        config = ModelConfig(model=str(whole), device="cpu")
        precheck(config)
        encoder = load(config)
        side = encoder.spec.image_size
        pixels = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
        rows = encoder.encode_images(pixels), encoder.encode_texts(["a", "b"])[0]
        return verify(whole).digest, encoder.spec, np.concatenate(rows)

    digest, spec, rows = seen()
    (whole / "model.safetensors").unlink()
    light = seen()
    assert light[:2] == (digest, spec)
    assert spec.precision == "int8"
    assert spec.scores is not None
    np.testing.assert_array_equal(light[2], rows)
    assert weights_bytes(str(whole)) > 0


@pytest.mark.parametrize(
    "asked", [{"precision": "float32"}, {"precision": "bfloat16"}, {"backend": "torch"}]
)
def test_what_needs_the_weights_says_so(light, asked):
    config = ModelConfig(model=str(light), device="cpu", **asked)
    for attempt in (precheck, load):
        with pytest.raises(CheckpointError, match=ALONE):
            attempt(config)


@pytest.mark.parametrize("words", [("check",), ("export",), ("quantize", "-o", "{out}")])
def test_commands_that_need_the_weights_say_so(light, tmp_path, words):
    words = [word.format(out=tmp_path / "out") for word in words]
    ran = CliRunner().invoke(main, [*words, "--model", str(light)])
    assert ran.exit_code == 1
    assert "model.safetensors is missing: without it only the graphs" in ran.output


def test_it_is_packed_without_them(light, tmp_path):
    files = contents({"": light})
    assert "model.safetensors" not in files
    made = write({"": light}, files, tmp_path / "model.tar.gz", lambda _: None)
    with tarfile.open(made.path) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    assert find(verify(tmp_path / "unpacked"), "int8") is not None


def test_files_of_another_checkpoint_are_noticed(light):
    path = light / "tokenizer.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(CheckpointError, match="was made from other weights"):
        find(verify(light), "int8")


def test_graphs_that_kept_no_record_need_their_weights(light):
    manifest = light / "openvino" / "int8" / "graphs.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"weights": None}))
    with pytest.raises(CheckpointError, match="model.safetensors is missing; if the weights"):
        verify(light)


@pytest.mark.parametrize("broken", [{}, {"sizes": 3}, {"scale": "nan"}, {"sha256": "xyz"}])
def test_a_broken_record_is_refused_in_a_sentence(light, broken):
    manifest = light / "openvino" / "int8" / "graphs.json"
    found = json.loads(manifest.read_text())
    found["weights"] = found["weights"] | broken if broken else {"a": 1}
    manifest.write_text(json.dumps(found))
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        verify(light)
