"""`sweetspot benchmark pipeline` as people type it, on the fake encoder."""

import contextlib
import json
import os
import pty
import signal
import subprocess

import pytest
from click.testing import CliRunner

from model.synthetic import mixes as drawn
from serve.benchmark.commands import MIXES
from sweetspot import main
from tests.e2e.service import ROOT, command

TINY = ("--mix", "small", "--batch", "8", "--concurrency", "2", "--duration-s", "0.2")
FAKE = ("--backend", "fake", "--batch-size", "8", "--text-batch-size", "8", "--latency-ms", "0")


def pipeline(*arguments):
    return command("benchmark", "pipeline", *FAKE, *arguments)


def run(*arguments, **variables):
    return subprocess.run(
        pipeline(*arguments),
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=600,
    )


def ran_here(*arguments):
    """Run in this process what is refused before anything is measured."""
    return CliRunner().invoke(main, ["benchmark", "pipeline", *arguments])


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A small load, measured once: folder, document, messages."""
    folder = tmp_path_factory.mktemp("pipeline")
    result = run(*TINY, "--json", "--report", str(folder / "page.html"))
    assert result.returncode == 0, result.stderr
    (folder / "old.json").write_text(result.stdout)
    return folder, json.loads(result.stdout), result.stderr


def test_json_has_the_whole_pipeline_and_each_stage(measured):
    _, document, _ = measured
    assert document["complete"]
    assert document["asked"]["mix"] == "small"
    assert document["plan"]["batch_size"] == 8
    load = document["pipeline"]
    assert load["items_ok"] == 8 * load["requests"] > 0
    assert load["failed"] == load["errors"] == {}
    assert 1 <= load["mean_batch"] <= 8
    stages = {one["name"]: one for one in document["stages"]}
    for name, threads in document["plan"]["threads"].items():
        stage = {"io": "fetch", "decode": "decode", "streams": "encode"}.get(name)
        assert stage is None or stages[stage]["threads"] == threads
    for name in ("fetch", "decode", "encode"):
        assert 0 < stages[name]["busy"] <= 1
        assert stages[name]["p50_ms"] > 0
    assert document["encoder_alone"]["before"]
    assert document["encoder_alone"]["after"]
    # Each rounded, and the ratio of nothing much to an encoder that does nothing is small.
    ratio = load["items_per_s"] / document["encoder_alone"]["items_per_s"]
    assert document["ratio"] == pytest.approx(ratio, abs=1e-3)


def test_people_read_a_table_and_what_limits_on_standard_error(measured):
    folder, document, messages = measured
    words = " ".join(messages.split())
    assert document["limit"] in words
    assert "of what the encoder makes alone" in words
    assert messages.count("░") > 20
    assert (folder / "page.html").read_text().startswith("<!doctype html>")


def test_an_older_document_is_compared_with(measured):
    folder, document, _ = measured
    same = run(*TINY, "--compare", str(folder / "old.json"), "--max-loss", "0.999")
    assert same.returncode == 0, same.stderr
    assert "now / then" in same.stdout
    # As if the old one had been a thousand times faster: everything was lost.
    document["pipeline"]["items_per_s"] *= 1000
    (folder / "faster.json").write_text(json.dumps(document))
    lost = run(*TINY, "--compare", str(folder / "faster.json"))
    assert lost.returncode == 1
    assert "the pipeline lost more than 10%" in lost.stdout


def test_a_document_of_another_load_is_refused_before_anything_is_measured(measured):
    folder, _, _ = measured
    result = ran_here(*FAKE, *TINY, "--batch", "4", "--compare", str(folder / "old.json"))
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: cannot compare with {folder / 'old.json'}: "
        "it was measured with --batch 8, this is 4\n"
    )


def test_every_mix_can_be_asked_for():
    assert tuple(drawn.MIXES) == MIXES


def test_a_full_house_is_waited_for():
    """Fewer permits than images of two callers: whoever is refused asks again."""
    result = run(*TINY, "--json", SWEETSPOT_MAX_ITEMS_IN_FLIGHT="7")
    assert result.returncode == 0, result.stderr
    load = json.loads(result.stdout)["pipeline"]
    assert load["failed"] == load["errors"] == {}
    assert load["items_ok"] >= 16


def test_what_cannot_be_loaded_is_one_sentence(tmp_path):
    result = ran_here("--mix", "small", "--model", str(tmp_path))
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert result.stderr.startswith("Error: ")


def test_interrupting_leaves_what_was_measured():
    """Ctrl-C once the terminal tells of the load: the encoder is not measured again after it."""
    terminal, end = pty.openpty()
    arguments = ("--mix", "small", "--batch", "2", "--concurrency", "2", "--duration-s", "300")
    process = subprocess.Popen(
        pipeline(*arguments, "--json"), cwd=ROOT, stdout=subprocess.PIPE, stderr=end, text=True
    )
    os.close(end)
    shown = b""
    while b"images so far" not in shown:
        shown += os.read(terminal, 65536)
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError):  # how a terminal says that nobody writes to it any more
        while more := os.read(terminal, 65536):
            shown += more
    os.close(terminal)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"Traceback" not in shown
    assert b"interrupted: partial" in shown
    document = json.loads(output)
    assert document["complete"] is False
    assert document["encoder_alone"]["before"]
    assert document["encoder_alone"]["after"] == []
