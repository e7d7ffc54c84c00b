"""`sweetspot benchmark encoder` as people type it, on the fake encoder."""

import json
import signal
import subprocess

import pytest

from tests.e2e.service import ROOT, command


def run(*arguments, **options):
    return subprocess.run(
        command("benchmark", "encoder", "--backend", "fake", *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    """A profile and a report, written once."""
    folder = tmp_path_factory.mktemp("profile")
    result = run("--json", "--report", str(folder / "report.html"))
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    (folder / "sweetspot.json").write_text(result.stdout)
    return folder, document


def test_json_is_the_profile_document(profile):
    _, document = profile
    assert document["version"] == 1
    (one,) = document["profiles"]
    assert one["match"]["backend"] == "fake"
    assert one["threads"].keys() == {"encoder", "streams", "decode", "io"}
    assert document["complete"]
    assert all(plan["images_s"] for plan in document["plans"])
    assert one["image"]["batch_size"] in [point["n"] for point in one["image"]["points"]]


def test_the_report_is_a_page(profile):
    folder, _ = profile
    assert (folder / "report.html").read_text().startswith("<!doctype html>")


def test_people_see_a_table_and_charts(profile):
    folder, _ = profile
    result = run("--compare", str(folder / "sweetspot.json"), "--max-loss", "0.99")
    assert result.returncode == 0
    shown = result.stdout
    assert shown.count("throughput, items/s") == shown.count("latency, ms") == 2
    assert shown.count("┊") > 10


def test_an_older_profile_is_compared_with(profile):
    folder, document = profile
    path = folder / "old.json"
    # As if the old one had been a thousand times faster: everything was lost.
    for tower in ("image", "text"):
        for point in document["profiles"][0][tower]["points"]:
            point["p50_ms"] /= 1000
            point["p95_ms"] /= 1000
    path.write_text(json.dumps(document))
    result = run("--compare", str(path))
    assert result.returncode == 1
    assert "a sweet spot lost more than 10%" in result.stdout


def test_interrupting_leaves_what_was_measured(tmp_path):
    """Ctrl-C after the first tower: that is shown and kept as partial; no profile is written."""
    arguments = ["--model", "builtin", "--exhaustive", "--json"]
    files = ["--write-profile", str(tmp_path / "p"), "--report", str(tmp_path / "page.html")]
    process = subprocess.Popen(
        [*command("benchmark", "encoder"), *arguments, *files],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "sweet spot" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    assert "interrupted: partial" in errors
    assert "no profile is written: interrupted" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "p").exists()
    document = json.loads(output)
    assert (document["complete"], document["profiles"]) == (False, [])
    assert document["partial"]["image"]["points"]
    assert "Sweet spot" in (tmp_path / "page.html").read_text()


def test_all_back_ends_stand_beside_each_other():
    result = run("--all", "--json")
    assert result.returncode == 0, result.stderr
    assert "side by side" in result.stderr
    assert "fake on cpu in float32" in result.stderr
    assert len(json.loads(result.stdout)["profiles"]) == 1
