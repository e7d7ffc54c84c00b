"""What is not served as it is says what it is, and how it is converted; no torch is imported."""

import json
import subprocess
import sys

import pytest

from model.checkpoints.checkpoint import locate, verify
from model.errors import CheckpointError
from tests.model.convert.sources import pickled, sentence_transformers


def foreign(folder, name):
    folder.mkdir()
    (folder / name).write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("adapter_config.json", "an adapter of PEFT"),
        ("open_clip_config.json", "a checkpoint of open_clip"),
    ],
)
def test_a_foreign_folder_says_what_it_is(tmp_path, name, what):
    folder = foreign(tmp_path / "a folder", name)
    with pytest.raises(CheckpointError) as caught:
        verify(folder)
    assert str(caught.value) == (
        f"{folder} holds {what}, which is not served as it is; convert it once: "
        f"sweetspot convert '{folder}' -o FOLDER"
    )


def test_pickles_say_how_they_are_converted(small_checkpoint, tmp_path):
    folder = pickled(small_checkpoint, tmp_path / "pickled")
    outer = sentence_transformers(folder, tmp_path / "outer")
    for one, inner in ((folder, folder), (outer, outer / "0_CLIPModel")):
        with pytest.raises(CheckpointError, match=f"sweetspot convert {inner} -o FOLDER"):
            verify(one)


def test_a_file_of_weights_says_how_it_is_converted(tmp_path):
    (tmp_path / "ViT-B-32.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"a checkpoint is a folder; .* convert /.*B-32\.pt"):
        locate(str(tmp_path / "ViT-B-32.pt"))


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ("{", "modules.json is not valid JSON"),
        ("{}", "modules.json does not hold a JSON list"),
        ("[1]", "does not list modules with their type and path"),
        (json.dumps([{"type": "a.CLIPModel", "path": "/etc"}]), "outside the folder: /etc"),
    ],
)
def test_broken_modules_are_refused(tmp_path, listed, message):
    (tmp_path / "modules.json").write_text(listed)
    with pytest.raises(CheckpointError, match=message):
        verify(tmp_path)


def test_finding_a_folder_in_a_folder_imports_no_torch(small_checkpoint, tmp_path):
    folder = sentence_transformers(small_checkpoint, tmp_path / "outer")
    program = (
        "import sys; from pathlib import Path; from model.checkpoints.checkpoint import verify; "
        f"verify(Path({str(folder)!r})); print({{'torch', 'numpy'}} & set(sys.modules))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "set()"
