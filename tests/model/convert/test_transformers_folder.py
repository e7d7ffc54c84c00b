"""Checkpoints of transformers in pickles, and of sentence-transformers, as safetensors."""

import json
import pickle
import zipfile

import pytest
import torch
from click.testing import CliRunner

from model.checkpoints.checkpoint import locate, verify, weights_bytes
from model.convert.convert import convert
from model.convert.weights import read_folder
from model.errors import CheckpointError
from sweetspot import main
from tests.checkpoints import make_checkpoint, make_siglip
from tests.model.convert.sources import (
    Creates,
    held,
    pickled,
    sentence_transformers,
    weights_of,
)


def converted(source, target, base=None):
    said = []
    row = convert(str(source), target, base, said.append)
    assert row.below == []
    assert len(said) == 1
    return said[0]


@pytest.mark.parametrize("shards", [1, 2])
def test_pickles_become_the_same_weights(small_checkpoint, tmp_path, shards):
    source, target = pickled(small_checkpoint, tmp_path / "source", shards), tmp_path / "target"
    assert "a checkpoint of transformers whose weights are pickles (CLIP)" in converted(
        source, target
    )
    ours, theirs = weights_of(target), weights_of(small_checkpoint)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert held(target) == held(small_checkpoint)
    assert len({path.stat().st_mode for path in target.iterdir()}) == 1, "who may read it"
    assert verify(target).digest == verify(small_checkpoint).digest


def test_the_oldest_format_of_pickles_is_read(small_checkpoint, tmp_path):
    source = pickled(small_checkpoint, tmp_path / "source")
    state = torch.load(source / "pytorch_model.bin", weights_only=True)
    torch.save(state, source / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    found, expected = read_folder(source), weights_of(small_checkpoint)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in found)


def test_siglip_in_pickles(tmp_path):
    source = pickled(make_siglip(tmp_path / "siglip", "siglip2"), tmp_path / "source")
    path = source / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"padding_side": "right"}))
    assert "(SigLIP)" in converted(source, tmp_path / "target")


def test_sentence_transformers_is_converted(small_checkpoint, tmp_path):
    source = sentence_transformers(
        pickled(small_checkpoint, tmp_path / "inner"), tmp_path / "source", [("Normalize", "1_N")]
    )
    assert "a CLIP of sentence-transformers" in converted(source, tmp_path / "target")
    assert verify(tmp_path / "target").digest == verify(small_checkpoint).digest


def test_sentence_transformers_with_safetensors_is_served_as_it_is(small_checkpoint, tmp_path):
    folder = sentence_transformers(small_checkpoint, tmp_path / "clip-ViT")
    found = verify(locate(str(folder)))
    assert found.digest == verify(small_checkpoint).digest
    assert (found.name, found.folder) == ("clip-ViT", folder / "0_CLIPModel")
    assert weights_bytes(str(folder)) == weights_bytes(str(small_checkpoint)) > 0


@pytest.mark.parametrize(
    ("more", "inner", "message"),
    [
        ([("Dense", "1_Dense")], "0_CLIPModel", "adds Dense to its CLIP"),
        ([("CLIPModel", "x")], "0_CLIPModel", "adds a second CLIPModel"),
        ([("Normalize", "../x")], "0_CLIPModel", "names a module outside the folder: ../x"),
    ],
)
def test_other_modules_are_refused(small_checkpoint, tmp_path, more, inner, message):
    folder = sentence_transformers(small_checkpoint, tmp_path / "source", more, inner)
    with pytest.raises(CheckpointError, match=message):
        verify(folder)
    with pytest.raises(CheckpointError, match=message):
        convert(str(folder), tmp_path / "target", None, str)


def compressed(path):
    """The same zip, compressed: nothing of torch's."""
    with zipfile.ZipFile(path) as old:
        entries = {one: old.read(one) for one in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in entries.items():
            new.writestr(name, data)


BROKEN = {
    "a pointer of Git LFS": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d\n"),
        "pytorch_model.bin is a Git LFS pointer; get the file itself: git lfs pull",
    ),
    "half a file": (
        lambda path: path.write_bytes(path.read_bytes()[:-2000]),
        "pytorch_model.bin is damaged or half-written",
    ),
    "no pickle": (lambda path: path.write_bytes(b"hello" * 9), "holds no weights, or is damaged"),
    "an empty file": (lambda path: path.write_bytes(b""), "holds no weights, or is damaged"),
    "a list": (lambda path: torch.save([1], path), "does not hold weights by name"),
    "a number": (lambda path: torch.save({"a": 1}, path), "holds a, which is no plain tensor"),
    "less than its shape": (
        lambda path: torch.save({"a": torch.zeros(1).expand(10**12)}, path),
        "holds less of a than its shape says",
    ),
    "one weight": (lambda path: torch.save({"a": torch.zeros(2)}, path), "not the weights of a"),
    "a compressed file": (compressed, "its entries are compressed"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_pickle_is_refused_in_one_sentence(small_checkpoint, tmp_path, name):
    breakage, message = BROKEN[name]
    source = pickled(small_checkpoint, tmp_path / "source")
    breakage(source / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=message) as caught:
        convert(str(source), tmp_path / "target", None, str)
    assert "\n" not in str(caught.value)
    assert held(tmp_path) == ["source"]


@pytest.mark.parametrize("new_format", [True, False])
def test_a_pickle_that_would_create_a_file_runs_nothing(small_checkpoint, tmp_path, new_format):
    source, created = pickled(small_checkpoint, tmp_path / "source"), tmp_path / "created"
    torch.save(
        {"a": Creates(created)},
        source / "pytorch_model.bin",
        _use_new_zipfile_serialization=new_format,
    )
    with pytest.raises(CheckpointError, match=r"needs \S*open, .* nothing of it was run"):
        convert(str(source), tmp_path / "target", None, str)
    assert held(tmp_path) == ["source"]
    pickle.loads(pickle.dumps(Creates(created))).close()
    assert created.exists(), "it would have"


def test_what_the_command_converts_is_embedded_with(tmp_path):
    source = pickled(make_checkpoint(tmp_path / "first", "shallow"), tmp_path / "source")
    target = str(tmp_path / "target")
    made = CliRunner().invoke(main, ["convert", str(source), "-o", target])
    assert made.exit_code == 0, made.stderr
    found, result = made.stdout.splitlines()
    assert found == f"{source}: a checkpoint of transformers whose weights are pickles (CLIP)"
    assert "cosine to the source at least 1.0000" in result
    assert result.endswith(f"serve it: sweetspot serve --model {target}")
    words = ["--model", target, "--backend", "torch", "--format", "jsonl", "--text", "login"]
    shown = CliRunner().invoke(main, ["embed", *words])
    assert shown.exit_code == 0, shown.stderr
    assert len(json.loads(shown.stdout)["embedding"]) == 24


def test_the_command_says_it_in_one_line(tmp_path):
    torch.save({"a": Creates(tmp_path / "created")}, tmp_path / "a.pt")
    result = CliRunner().invoke(
        main, ["convert", str(tmp_path / "a.pt"), "-o", str(tmp_path / "target")]
    )
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"Error: {tmp_path / 'a.pt'} needs ")
    assert held(tmp_path) == ["a.pt"]


def test_what_is_served_as_it_is_needs_no_conversion(small_checkpoint, tmp_path):
    with pytest.raises(CheckpointError, match="needs no conversion"):
        convert(str(small_checkpoint), tmp_path / "target", None, str)


def test_a_folder_with_files_is_left_as_it_is(small_checkpoint, tmp_path):
    source = pickled(small_checkpoint, tmp_path / "source")
    before = held(source)
    with pytest.raises(CheckpointError, match="is not empty; choose another folder"):
        convert(str(source), source, None, str)
    assert held(source) == before


def test_a_fault_of_the_source_is_named_as_such(small_checkpoint, tmp_path):
    source = pickled(small_checkpoint, tmp_path / "source")
    (source / "preprocessor_config.json").unlink()
    with pytest.raises(CheckpointError) as caught:
        convert(str(source), tmp_path / "target", None, str)
    assert str(caught.value) == f"{source}/preprocessor_config.json is missing"


def test_a_result_that_differs_is_not_kept(small_checkpoint, tmp_path):
    source = pickled(small_checkpoint, tmp_path / "source")
    state = torch.load(source / "pytorch_model.bin", weights_only=True)
    state["visual_projection.weight"][:] = torch.nan
    torch.save(state, source / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"differs from .* was not kept: image cosine"):
        convert(str(source), tmp_path / "target", None, str)
    assert held(tmp_path) == ["source"]


def test_an_unknown_folder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="holds no checkpoint of a known layout"):
        convert(str(tmp_path), tmp_path / "target", None, str)


def test_an_archive_is_not_taken_for_weights(tmp_path):
    (archive := tmp_path / "model.tar.gz").touch()
    with pytest.raises(CheckpointError, match="is a packed artifact; unpack it: "):
        convert(str(archive), tmp_path / "target", None, print)
