"""From a checkpoint to artifacts, by the commands: export, quantize, check, and serve them."""

import json
import subprocess

import pytest

from model.synthetic.thumbnails import sample
from tests.checkpoints import make_checkpoint
from tests.e2e.service import command, started


def run(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def thumbnails(tmp_path_factory):
    """A folder of 95, of which two cannot be read."""
    folder = tmp_path_factory.mktemp("thumbnails")
    for seed in range(93):
        (folder / f"{seed}.img").write_bytes(sample(seed).data)
    (folder / "notes.txt").write_text("not an image")
    (folder / "cut.jpg").write_bytes(sample(0).data[:300])
    return folder


@pytest.fixture(scope="module")
def quantized(tmp_path_factory, thumbnails):
    folder = tmp_path_factory.mktemp("int8")
    made = run("quantize", "--thumbnails", str(thumbnails), "-o", str(folder), "--json")
    assert made.returncode == 0, made.stderr
    return folder, made


def test_a_quantized_artifact_says_what_was_measured_and_is_served(quantized, tmp_path):
    folder, made = quantized
    report = json.loads(made.stdout)
    assert "93 thumbnails (2 could not be read)" in made.stderr
    assert report["image"]["plain"]["p1"] >= report["floors"]["min_cosine"]
    kept = json.loads((folder / "openvino" / "int8" / "graphs.json").read_text())
    assert kept["fidelity"] == report
    with started(tmp_path, "--model", str(folder), "--batch-size", "4") as service:
        body = service.invoke({"texts": ["a dark login screen"]}).json()
    assert body["precision"] == "int8"
    assert len(body["results"][0]["embedding"]) == body["dimension"]


def test_check_ends_with_1_below_a_floor(quantized):
    """The floor of an artifact calibrated on generated thumbnails, set above what int8 can keep."""
    folder, _ = quantized
    path = folder / "openvino" / "int8" / "graphs.json"
    manifest = json.loads(path.read_text())
    manifest["fidelity"]["generated"] = True
    manifest["fidelity"]["floors"]["min_cosine"] = 0.9999999
    path.write_text(json.dumps(manifest))
    found = run("check", "--model", str(folder), "--images", "16", "--json")
    rows = {f"{row['backend']} {row['precision']}": row for row in json.loads(found.stdout)}
    assert found.returncode == 1
    assert "is below 0.9999999" in rows["openvino int8"]["below"][0]
    assert rows["torch float32"]["below"] == rows["openvino float32"]["below"] == []


def test_an_exported_checkpoint_is_a_whole_artifact(tmp_path):
    source, artifact = make_checkpoint(tmp_path / "source"), tmp_path / "artifact"
    made = run("export", "--model", str(source), "-o", str(artifact))
    assert made.returncode == 0, made.stderr
    again = run("export", "--model", str(artifact))  # beside the checkpoint, in place of the first
    assert again.returncode == 0, again.stderr
    assert sorted(path.name for path in (artifact / "openvino").iterdir()) == ["float32"]
    with started(tmp_path, "--model", str(artifact), "--batch-size", "4") as service:
        assert service.invoke({"texts": ["a"]}).json()["precision"] == "float32"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("export", "--model", "nowhere"), "nowhere: no such folder"),
        (("check", "--model", "nowhere"), "nowhere: no such folder"),
        (("quantize", "-o", "x", "--thumbnails", "docs"), "thumbnails in docs; at least 90"),
        (
            ("serve", "--model", "builtin", "--precision", "float16", "--device", "cpu"),
            "it supports",
        ),
    ],
)
def test_what_cannot_be_is_said_in_one_line(arguments, message, tmp_path):
    found = run(*arguments)
    assert found.returncode != 0
    assert message in found.stderr.splitlines()[-1]
