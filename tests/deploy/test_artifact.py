"""An artifact: what is in it, that its bytes are the same, that it opens as the server would."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import boto3
import pytest
from click.testing import CliRunner
from moto import mock_aws

from deploy.artifact import ArtifactError, contents, write
from model.backends.export import save
from model.backends.openvino_encoder import OpenVinoEncoder
from model.backends.spec import spec_of
from model.checkpoints.checkpoint import verify
from model.checkpoints.graphs import find
from model.config import ModelConfig
from sweetspot import main
from tests.checkpoints import make_checkpoint
from tests.e2e.service import ROOT
from tests.model.convert.sources import sentence_transformers

PROFILE = Path(__file__).parent / "profile.json"  # of another checkpoint


def artifact(*words):
    return CliRunner().invoke(main, ["deploy", "artifact", *map(str, words)])


def measured(folder, checkpoint, policy="display", quantized=""):
    """A profile as it is written on a machine that ran the checkpoint."""
    spec = spec_of(checkpoint, ModelConfig(policy=policy), "openvino", "cpu", "int8", quantized)
    document = json.loads(PROFILE.read_text())
    document["profiles"][0]["match"]["checkpoint"] = spec.fingerprint
    (folder / "sweetspot.json").write_text(json.dumps(document))
    return folder / "sweetspot.json"


def packed(tmp_path, *words):
    output = tmp_path / "model.tar.gz"
    ran = artifact(*words, "-o", output)
    assert ran.exit_code == 0, ran.output
    return output


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A checkpoint with its graphs in float32: shared, not to be written to."""
    checkpoint = verify(make_checkpoint(tmp_path_factory.mktemp("small"), "no blocks"))
    encoder = OpenVinoEncoder(checkpoint, ModelConfig(precision="float32"))
    graphs = {name: encoder.graph(name) for name in ("image", "text")}
    save(checkpoint.folder, "float32", checkpoint, graphs, encoder.tokenizer)
    return checkpoint.folder


@pytest.fixture
def folder(tmp_path, small):
    copy = tmp_path / "checkpoint"
    shutil.copytree(small, copy)
    return copy


def test_it_opens_as_the_server_would(tmp_path, folder, small):
    (folder / "notes.txt").write_text("not the server's")
    profile = measured(tmp_path, verify(folder))
    with tarfile.open(packed(tmp_path, "--model", folder, "--profile", profile)) as tar:
        entries = tar.getmembers()
        tar.extractall(tmp_path / "ml", filter="data")
    assert verify(tmp_path / "ml").digest == verify(small).digest
    names = [entry.name for entry in entries]
    assert names == sorted(names)
    assert {"config.json", "sweetspot.json", "openvino/float32/image.bin"} < set(names)
    assert "notes.txt" not in names
    assert all(entry.isfile() and entry.uid == entry.gid == entry.mtime == 0 for entry in entries)


def test_the_same_files_are_the_same_bytes(tmp_path, folder):
    first = packed(tmp_path, "--model", folder).read_bytes()
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o755)
    assert packed(tmp_path, "--model", folder).read_bytes() == first


def test_a_link_becomes_the_file_it_leads_to(tmp_path, folder):
    (folder / "model.safetensors").rename(tmp_path / "blob")
    (folder / "model.safetensors").symlink_to(tmp_path / "blob")
    with tarfile.open(packed(tmp_path, "--model", folder)) as tar:
        assert tar.getmember("model.safetensors").isfile()


def test_two_checkpoints_have_a_folder_each(tmp_path, folder, small):
    output = tmp_path / "both.tar.gz"
    models = ("--model", f"designs={folder}", "--model", f"components={small}")
    ran = artifact(*models, "-o", output)
    assert "--model-folder designs --model-folder components" in ran.output
    with tarfile.open(output) as tar:
        assert {name.split("/")[0] for name in tar.getnames()} == {"designs", "components"}


def test_quantized_graphs_come_beside_the_weights_they_were_made_of(tmp_path, folder, small):
    (folder / "openvino" / "float32").rename(folder / "openvino" / "int8")
    with tarfile.open(packed(tmp_path, "--model", small, "--quantized", folder)) as tar:
        tar.extractall(tmp_path / "ml", filter="data")
    for precision in ("float32", "int8"):
        assert find(verify(tmp_path / "ml"), precision) is not None


@pytest.mark.parametrize("policy", ["display", "reference"])
def test_a_profile_of_any_encoder_of_the_checkpoint_goes_with_it(tmp_path, folder, small, policy):
    (folder / "openvino" / "float32").rename(folder / "openvino" / "int8")
    digest = find(verify(folder), "int8").digest
    for quantized in ("", digest):
        profile = measured(tmp_path, verify(folder), policy, quantized)
        packed(tmp_path, "--model", small, "--quantized", folder, "--profile", profile)


def test_a_folder_of_sentence_transformers_is_packed_as_what_it_holds(tmp_path, small):
    """Its profile is beside the outer folder, where the service looks for it."""
    source = sentence_transformers(small, tmp_path / "source")
    measured(source, verify(source))
    with tarfile.open(packed(tmp_path, "--model", source)) as tar:
        names = set(tar.getnames())
    assert {"config.json", "model.safetensors", "sweetspot.json"} <= names
    assert not any("CLIPModel" in name for name in names)


def test_a_profile_of_other_weights_is_refused(tmp_path):
    ran = artifact("--model", "builtin", "--profile", PROFILE, "-o", tmp_path / "model.tar.gz")
    assert ran.exit_code == 1
    assert f"--profile {PROFILE} was measured with another checkpoint" in ran.output


def damage(graphs):
    (graphs / "image.bin").write_bytes(b"half")


def lead_nowhere(graphs):
    (graphs / "image.bin").unlink()
    (graphs / "image.bin").symlink_to("nowhere")


def take_from_other_weights(graphs):
    manifest = json.loads((graphs / "graphs.json").read_text())
    (graphs / "graphs.json").write_text(json.dumps(manifest | {"checkpoint": "another"}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (damage, "image.bin is missing or half-written"),
        (lead_nowhere, "image.bin is missing or half-written"),
        (take_from_other_weights, "made from other weights"),
    ],
)
@pytest.mark.parametrize("flag", ["--model", "--quantized"])
def test_graphs_that_the_server_would_refuse_are_refused(
    tmp_path, folder, small, flag, spoil, said
):
    spoil(folder / "openvino" / "float32")
    words = ("--model", small) if flag == "--quantized" else ()
    ran = artifact(*words, flag, folder, "-o", tmp_path / "model.tar.gz")
    assert ran.exit_code == 1
    assert said in ran.output
    assert not (tmp_path / "model.tar.gz").exists()


def test_nothing_but_the_files_of_graphs_is_packed(tmp_path, folder):
    (folder / "openvino" / "float32" / ".DS_Store").write_bytes(b"of a desktop")
    with tarfile.open(packed(tmp_path, "--model", folder)) as tar:
        assert not [name for name in tar.getnames() if "DS_Store" in name]


def test_it_is_uploaded(tmp_path):
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="models")
        uri = "s3://models/designs/model.tar.gz"
        ran = artifact("--model", "builtin", "-o", tmp_path / "a.tar.gz", "--upload", uri, "--json")
        assert ran.exit_code == 0, ran.output
        body = s3.get_object(Bucket="models", Key="designs/model.tar.gz")["Body"].read()
    said = json.loads(ran.stdout)
    assert body == (tmp_path / "a.tar.gz").read_bytes()
    assert (said["uploaded"], said["size"]) == (uri, len(body))


def test_what_cannot_be_uploaded_is_said(tmp_path, small):
    words = ("--model", small, "-o", tmp_path / "a.tar.gz")
    with mock_aws():
        ran = artifact(*words, "--upload", "s3://nobodys/model.tar.gz")
    assert ran.exit_code == 1
    assert "s3://nobodys/model.tar.gz: not uploaded" in ran.output


def test_a_checkpoint_that_is_not_whole_leaves_the_artifact_that_was_there(tmp_path, folder):
    output = packed(tmp_path, "--model", folder)
    before = output.read_bytes()
    (folder / "tokenizer.json").write_text("{")
    ran = artifact("--model", folder, "-o", output)
    assert "tokenizer.json is not valid JSON" in ran.output
    assert output.read_bytes() == before
    assert {one.name for one in tmp_path.iterdir()} == {"checkpoint", "model.tar.gz"}


def change_weights(folder):
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 3
    (folder / "config.json").write_text(json.dumps(config))


def change_graphs(folder):
    path = folder / "openvino" / "float32" / "text.bin"
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("change", [change_weights, change_graphs])
def test_what_changes_while_it_is_packed_is_refused(tmp_path, folder, change):
    files = contents({"": folder})
    counts = itertools.count()

    def advance(_):
        # The first file has been read by then.
        if next(counts) == 1:
            change(folder)

    output = tmp_path / "model.tar.gz"
    with pytest.raises(ArtifactError, match="changed while it was packed"):
        write({"": folder}, files, output, advance)
    assert not output.exists()


def test_graphs_of_another_checkpoint_are_refused(folder, small):
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 3
    (folder / "config.json").write_text(json.dumps(config))
    assert "of another checkpoint" in artifact("--model", small, "--quantized", folder).output


def test_a_link_stays_and_what_is_no_file_is_refused(tmp_path, small):
    (tmp_path / "link").symlink_to(tmp_path / "there.tar.gz")
    assert artifact("--model", small, "-o", tmp_path / "link").exit_code == 0
    assert (tmp_path / "link").is_symlink()
    assert tarfile.is_tarfile(tmp_path / "there.tar.gz")
    os.mkfifo(tmp_path / "pipe")
    assert "is not a plain file" in artifact("--model", small, "-o", tmp_path / "pipe").output
    assert (tmp_path / "pipe").is_fifo()


def test_a_full_disk_is_said_and_leaves_nothing_behind(tmp_path):
    output = tmp_path / "model.tar.gz"
    program = (
        "import resource, sys, sweetspot\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "sweetspot.main(sys.argv[1:])\n"
    )
    words = ("deploy", "artifact", "--model", "builtin", "-o", str(output))
    ran = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 1
    assert ran.stderr == f"Error: {output}: cannot be written: File too large\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["config.json", "openvino/float32/image.bin"])
def test_an_artifact_is_never_written_over_what_goes_into_it(tmp_path, folder, name):
    before = (folder / name).read_bytes()
    ran = artifact("--model", folder, "-o", folder / name)
    assert f"{folder / name} is a file of the artifact itself" in ran.output
    assert (folder / name).read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model", "nowhere"), "nowhere: no such folder"),
        (("--model", "openai/clip"), "sweetspot export --model openai/clip -o FOLDER"),
        (("--model", "builtin", "--model", "builtin"), "need a name each"),
        (("--model", "a=builtin", "--model", "a=builtin"), "twice"),
        (("--model", "../a=builtin", "--model", "b=builtin"), "../a"),
        (("--model", "a=builtin", "--model", "b=builtin", "--profile", PROFILE), "single --model"),
        (("--model", "builtin", "--profile", "nowhere.json"), "nowhere.json is missing"),
        (("--model", "builtin", "--upload", "s3://models/model.zip"), "unpacks only a .tar.gz"),
        (("--model", "builtin", "--upload", "https://a/model.tar.gz"), "--upload https://a/"),
        (("--model", "builtin", "-o", "/nowhere/model.tar.gz"), "/nowhere is not a folder"),
        (("--model", "builtin", "-o", "/proc/model.tar.gz"), "/proc/model.tar.gz: cannot be wri"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(words, said):
    ran = artifact(*words)
    assert ran.exit_code == 1
    assert said in ran.output.splitlines()[-1]
