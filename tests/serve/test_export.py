"""`sweetspot export`: an artifact that was there outlives one that fails."""

import click
import pytest
from safetensors.torch import load_file, save_file

from model.backends.export import copy_checkpoint
from model.checkpoints.checkpoint import verify
from model.errors import CheckpointError
from serve.commands.export import run
from tests.checkpoints import make_checkpoint
from tests.disk import full_disk


def held(folder):
    """What is in a folder, byte by byte."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def artifact(tmp_path):
    """One that was exported, with a file of somebody's."""
    run(str(make_checkpoint(tmp_path / "first")), str(tmp_path / "artifact"))
    (tmp_path / "artifact" / "notes.txt").write_text("mine")
    return tmp_path / "artifact"


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


def test_a_folder_with_files_of_another_checkpoint_is_left_as_it_is(artifact, tmp_path):
    (artifact / "special_tokens_map.json").write_text("{}")
    before = held(artifact)
    second = verify(make_checkpoint(tmp_path / "second", seed=2))
    with pytest.raises(CheckpointError, match="choose an empty folder"):
        copy_checkpoint(second, artifact)
    assert held(artifact) == before
