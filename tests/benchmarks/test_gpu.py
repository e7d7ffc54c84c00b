"""The check for a machine with a card runs on a CPU, with a tiny model: each part, to its end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.marked import files, outcomes
from benchmarks.gpu.parts import NAMES
from benchmarks.gpu.readings import Spent, counts, limit, of_card

ROOT = Path(__file__).parents[2]
PRECISIONS = {"float32", "bfloat16", "float16"}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """All parts but the tests marked `gpu`, which skip themselves here. Returns rc, output, record.

    One run for all tests: it takes half a minute.
    """
    folder = tmp_path_factory.mktemp("gpu")
    only = [f"--only={name}" for name in NAMES if name != "marked"]
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--quick", *only]
    done = subprocess.run(
        [*command, "--output", str(folder)], cwd=ROOT, capture_output=True, text=True
    )
    return done, json.loads((folder / "gpu.json").read_text())


def test_every_part_ends_well(ran):
    done, record = ran
    states = {name: (one["state"], one["problems"]) for name, one in record["parts"].items()}
    assert states == {name: ("ok", []) for name in NAMES if name != "marked"}, done.stderr
    assert done.returncode == 0
    assert record["options"] == {"device": "cpu", "quick": True, "seconds": 420.0}
    assert {"command", "date", "machine", "versions"} <= record.keys()


def test_the_table_has_a_line_for_each(ran):
    done, record = ran
    for name, one in record["parts"].items():
        assert name in done.stdout
        assert one["headline"]
    assert "no card is measured" in done.stdout


def test_each_precision_is_held_to_the_reference_and_has_its_curves(ran):
    parts = ran[1]["parts"]
    parity, curve = parts["parity"]["numbers"]["tiny"], parts["curve"]["numbers"]["tiny"]
    assert parity.keys() == curve.keys() == PRECISIONS
    for precision in PRECISIONS:
        assert parity[precision]["precision"] == precision
        assert parity[precision]["images"]["plain"]["min"] > 0.999
        for tower in ("image", "text"):
            points = curve[precision][tower]["points"]
            assert [one["n"] for one in points] == [1, 2, 4]
            assert all(one["host_ms"] > 0 and one["device_ms"] is None for one in points)
            assert curve[precision][tower]["ended"] == "all sizes"


def test_the_service_says_what_limits_it_and_how_singles_fare(ran):
    (way,) = ran[1]["parts"]["service"]["numbers"]["ways"].values()
    assert way["limit"]
    assert way["used"]["cores"].keys() == {"service", "clients", "thumbnail servers"}
    assert way["used"]["stage_ms"].keys() == {"fetch", "decode", "queue", "encode"}
    assert way["loads"].keys() == {
        f"{kind} {when}" for kind in ("bulk", "text", "screenshot") for when in ("alone", "beside")
    }
    assert all(load["requests"] for load in way["loads"].values())


def test_out_of_memory_is_met_and_every_item_answered(ran):
    numbers = ran[1]["parts"]["memory"]["numbers"]
    assert numbers["met"]
    for way in ("halved", "engine"):
        assert numbers[way]["embedded"] == numbers["large"]
        assert numbers[way]["kept_to"] == numbers["small"]


@pytest.mark.parametrize(
    ("encoder", "slowdown", "cores", "words"),
    [
        (0.95, 1.1, (8.0, 1.0, 2.0), "the encoder"),
        (0.3, 1.0, (11.0, 1.0, 2.0), "the machine's cores, most of them in the service"),
        (0.3, 1.0, (3.0, 0.2, 0.9), "perhaps one process: the thumbnail servers"),
        (
            0.3,
            1.0,
            (1.0, 0.2, 0.2),
            "neither encoder nor cores: waiting threads, or one interpreter",
        ),
        (0.98, 2.9, (15.0, 0.5, 0.4), "the machine's cores, most of them in the service"),
        (
            0.98,
            2.9,
            (5.0, 0.5, 0.4),
            "one interpreter: its batches take 2.9 times the tuned time",
        ),
    ],
)
def test_what_limits_is_what_is_busy(encoder, slowdown, cores, words):
    who = dict(zip(("service", "clients", "thumbnail servers"), cores, strict=True))
    assert limit(Spent(6.0, encoder, slowdown, 64.0, {}, who), cores=16) == words


def test_sums_of_metrics_are_of_images_and_of_both_lanes():
    text = (
        '# TYPE sweetspot_encode_seconds counter\n'
        'sweetspot_encode_seconds_total{model="a",tower="image"} 3.5\n'
        'sweetspot_encode_seconds_total{model="a",tower="text"} 1.0\n'
        '# TYPE sweetspot_stage_seconds histogram\n'
        'sweetspot_stage_seconds_bucket{lane="bulk",stage="fetch",le="+Inf"} 4.0\n'
        'sweetspot_stage_seconds_count{lane="bulk",stage="fetch"} 4.0\n'
        'sweetspot_stage_seconds_sum{lane="bulk",stage="fetch"} 0.25\n'
        'sweetspot_stage_seconds_count{lane="interactive",stage="fetch"} 1.0\n'
        'sweetspot_stage_seconds_sum{lane="interactive",stage="fetch"} 0.5\n'
    )  # fmt: skip
    found = counts(text)
    assert found["encode_seconds_total"] == 3.5
    assert found["fetch stage_seconds_count"] == 5.0
    assert found["fetch stage_seconds_sum"] == 0.75


def test_a_cards_lines_are_its_median_use_and_its_peak_memory():
    lines = ["0, 600", "90, 2400", "95, 2500", "97, 2450", "[N/A], 2450", "88, "]
    assert of_card(lines[:4]) == {"busy_percent": 92.5, "memory_mib": 2500}
    assert of_card(lines) == of_card(lines[:4])
    assert of_card([]) == {}


def test_the_files_with_marked_tests_are_found():
    assert "tests/model/test_torch_encoder.py" in files()


def test_pytests_last_line_is_counted():
    output = "...\n==== 1 failed, 8 passed, 2 skipped, 27 deselected in 1.86s ====\n"
    assert outcomes(output) == {"failed": 1, "passed": 8, "skipped": 2, "deselected": 27}
