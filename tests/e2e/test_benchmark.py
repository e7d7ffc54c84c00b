"""`sweetspot benchmark encoder` as people type it, on the fake encoder."""

import json
import os
import signal
import subprocess

import pytest

from tests.e2e.service import ROOT, command, on_one_core

# The profile's fixture measures with processes; for others they would only take time.
IN_THREADS = os.environ | {"SWEETSPOT_PREPROCESS_PROCESSES": "0"}


def run(*arguments, env=IN_THREADS, **options):
    return subprocess.run(
        command("benchmark", "encoder", "--backend", "fake", *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        env=env,
        **options,
    )


@pytest.fixture
def one_core():
    with on_one_core():
        yield


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    """A profile and a report of all back ends, with processes and without, written once."""
    folder = tmp_path_factory.mktemp("profile")
    with on_one_core():
        result = run("--all", "--json", "--report", str(folder / "report.html"), env=None)
    assert result.returncode == 0, result.stderr
    return folder, json.loads(result.stdout), result.stderr


def test_json_is_the_profile_document(profile):
    _, document, _ = profile
    assert document["version"] == 1
    (one,) = document["profiles"]
    assert one["match"]["backend"] == "fake"
    assert one["threads"].keys() == {"encoder", "streams", "decode", "io", "processes"}
    assert document["complete"]
    assert len(document["plans"]) == 2
    assert all(plan["images_s"] for plan in document["plans"])
    assert one["image"]["batch_size"] in [point["n"] for point in one["image"]["points"]]


def test_the_report_is_a_page(profile):
    folder, _, _ = profile
    assert (folder / "report.html").read_text().startswith("<!doctype html>")


def test_all_back_ends_stand_beside_each_other(profile):
    _, document, shown = profile
    assert "side by side" in shown
    assert "fake on cpu in float32" in shown
    assert len(document["profiles"]) == 1


def test_people_see_tables_and_charts_beside_an_older_profile(one_core, tmp_path):
    document = json.loads(run("--json").stdout)
    path = tmp_path / "old.json"
    # As if the old one had been a thousand times faster: everything was lost.
    for tower in ("image", "text"):
        for point in document["profiles"][0][tower]["points"]:
            point["p50_ms"] /= 1000
            point["p95_ms"] /= 1000
    path.write_text(json.dumps(document))
    result = run("--compare", str(path))
    assert result.returncode == 1
    shown = result.stdout
    assert "a sweet spot lost more than 10%" in shown
    assert shown.count("throughput, items/s") == shown.count("latency, ms") == 2
    assert shown.count(" sweet spot ") >= 4


def test_interrupting_leaves_what_was_measured(one_core, tmp_path):
    """Ctrl-C after the first tower: that is shown and kept as partial; no profile is written."""
    arguments = ["--backend", "fake", "--exhaustive", "--json"]
    files = ["--write-profile", str(tmp_path / "p"), "--report", str(tmp_path / "page.html")]
    process = subprocess.Popen(
        [*command("benchmark", "encoder"), *arguments, *files],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=IN_THREADS,
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
