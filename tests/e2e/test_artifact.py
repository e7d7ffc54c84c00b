"""From a checkpoint to an artifact, by the commands: quantize, check, and serve it."""

import json
import subprocess

import pytest

from model.synthetic.thumbnails import caption_of, sample
from tests.e2e.service import command, started


def run(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=600)


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
    """The built-in model, by as few thumbnails and texts as will do."""
    place = tmp_path_factory.mktemp("int8")
    folder, texts = place / "artifact", place / "texts.txt"
    texts.write_text("\n".join(caption_of(seed) for seed in range(150)))
    given = ("--thumbnails", str(thumbnails), "--texts", str(texts))
    made = run("quantize", *given, "-o", str(folder), "--json")
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
