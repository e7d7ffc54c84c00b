"""`sweetspot export`: an artifact that was there outlives one that fails."""

import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from model.backends.export import copy_checkpoint
from model.checkpoints.checkpoint import verify
from model.checkpoints.graphs import find
from model.config import ModelConfig
from model.errors import CheckpointError
from model.load import load
from serve.commands.export import run
from sweetspot import main
from tests.checkpoints import make_checkpoint
from tests.disk import full_disk


def held(folder):
    """What is in a folder, byte by byte."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Made by the command, once."""
    source = make_checkpoint(tmp_path_factory.mktemp("source"))
    folder = tmp_path_factory.mktemp("exported") / "artifact"
    words = ["export", "--model", str(source), "-o", str(folder)]
    made = CliRunner().invoke(main, words)
    assert made.exit_code == 0, made.stderr
    return folder


@pytest.fixture
def artifact(exported, tmp_path):
    """One that was exported, with a file of somebody's."""
    folder = Path(shutil.copytree(exported, tmp_path / "artifact"))
    (folder / "notes.txt").write_text("mine")
    return folder


def test_an_exported_checkpoint_is_a_whole_artifact(artifact):
    assert find(verify(artifact), "float32") is not None
    assert [path.name for path in (artifact / "openvino").iterdir()] == ["float32"]
    encoder = load(ModelConfig(model=str(artifact), device="cpu"))
    assert (encoder.spec.backend, encoder.spec.precision) == ("openvino", "float32")
    assert encoder.encode_texts(["a"])[0].shape == (1, 24)


@pytest.fixture
def broken(tmp_path):
    """A checkpoint whose embeddings are no numbers, and so are the model's in no comparison."""
    path = make_checkpoint(tmp_path / "broken", seed=1) / "model.safetensors"
    weights = load_file(path)
    weights["visual_projection.weight"].fill_(float("nan"))
    save_file(weights, path, metadata={"format": "pt"})
    return path.parent


def test_an_artifact_outlives_graphs_that_differ_from_the_model(artifact, broken):
    before = held(artifact)
    with pytest.raises(click.ClickException, match=r"differ .* were not kept"):
        run(str(broken), str(artifact))
    assert held(artifact) == before


def test_an_artifact_outlives_a_full_disk(artifact, tmp_path):
    before = held(artifact)
    second = make_checkpoint(tmp_path / "second", seed=2)
    with full_disk(), pytest.raises(click.ClickException, match="is the disk full") as failed:
        run(str(second), str(artifact))
    assert "\n" not in failed.value.message
    with full_disk(), pytest.raises(OSError, match="File too large"):
        copy_checkpoint(verify(second), artifact)
    assert held(artifact) == before
    run(str(second), str(artifact))
    assert verify(artifact).digest == verify(second).digest
    assert held(artifact).keys() == before.keys()


def test_graphs_beside_their_checkpoint_take_the_place_of_those_before(artifact):
    before = held(artifact)
    weights = artifact / "openvino" / "float32" / "image.bin"
    weights.write_bytes(b"")
    run(str(artifact), None)
    assert held(artifact).keys() == before.keys()
    assert weights.read_bytes() == before["openvino/float32/image.bin"]


def test_a_folder_with_files_of_another_checkpoint_is_left_as_it_is(artifact, tmp_path):
    (artifact / "special_tokens_map.json").write_text("{}")
    before = held(artifact)
    second = verify(make_checkpoint(tmp_path / "second", seed=2))
    with pytest.raises(CheckpointError, match="choose an empty folder"):
        copy_checkpoint(second, artifact)
    assert held(artifact) == before
