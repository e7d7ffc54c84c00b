"""The profile file: it reads back, replaces its own match, and says what is wrong with it."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from inference.profile.profile import (
    FILE_NAME,
    Match,
    MeasuredPoint,
    Profile,
    ProfileError,
    Threads,
    TowerProfile,
    document,
    find,
    read,
    write,
)

MATCH = Match("Some CPU", 2, "cpu", "4f0c", "torch", "float32")
TOWER = TowerProfile(8, "throughput", 12.5, 3.25, (MeasuredPoint(1, 16.0, 17.5),))
PROFILE = Profile(MATCH, Threads(2, 1, 2, 32), TOWER, TOWER, {"torch": "2.13.0"})


def test_what_is_written_reads_back(tmp_path):
    assert read(write(tmp_path / "new", PROFILE)) == [PROFILE]


def test_writing_replaces_its_own_match_and_keeps_the_others(tmp_path):
    other = dataclasses.replace(PROFILE, match=dataclasses.replace(MATCH, cores=4))
    newer = dataclasses.replace(PROFILE, image=dataclasses.replace(TOWER, batch_size=32))
    for one in (PROFILE, other, newer):
        write(tmp_path, one)
    assert read(tmp_path / FILE_NAME) == [other, newer]
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Match)])
def test_all_of_the_match_must_agree(tmp_path, field):
    path = write(tmp_path, PROFILE)
    assert find([tmp_path / "missing", path], MATCH) == PROFILE
    changed = dataclasses.replace(MATCH, **{field: 99 if field == "cores" else "another"})
    assert find([path], changed) is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"version": 2, "profiles": []}', '{"version": 1, "profiles": [1]}'],
)
def test_another_file_is_refused_by_its_name(tmp_path, text):
    path = tmp_path / FILE_NAME
    path.write_text(text)
    with pytest.raises(ProfileError, match=FILE_NAME):
        read(path)


def test_the_form_is_that_of_the_interface(tmp_path):
    document = json.loads(write(tmp_path, PROFILE).read_text())
    assert document.keys() == {"version", "profiles"}
    profile = document["profiles"][0]
    assert profile.keys() == {"match", "threads", "image", "text", "versions", "preprocess"}
    assert profile["image"].keys() == {"batch_size", "rule", "a_ms", "b_ms", "points"}
    assert profile["image"]["points"][0] == {"n": 1, "p50_ms": 16.0, "p95_ms": 17.5}


def test_profiles_are_read_without_numpy():
    program = "import sys, inference.profile.profile; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("threads", "streams"), 0),
        (("threads", "decode"), "2"),
        (("threads", "encoder"), 1_000_000),
        (("image", "batch_size"), -3),
        (("image", "batch_size"), "many"),
        (("image", "batch_size"), True),
        (("image", "points"), []),
        (("text", "points"), [{"n": 1, "p50_ms": 0, "p95_ms": 1}]),
        (("text", "points"), [{"n": 1, "p50_ms": None, "p95_ms": 1}]),
        (("text", "points"), [{"n": 1, "p50_ms": float("nan"), "p95_ms": 1}]),
        (("text", "points"), [{"n": 1, "p50_ms": 1, "p95_ms": 1}] * 2),
    ],
)
def test_numbers_that_nobody_measured_are_refused(tmp_path, place, value):
    changed = document([PROFILE])
    tower, field = place
    changed["profiles"][0][tower][field] = value
    (tmp_path / "p.json").write_text(json.dumps(changed))
    with pytest.raises(ProfileError, match="is not a profile"):
        read(tmp_path / "p.json")


def test_a_file_nested_too_deep_is_refused(tmp_path):
    (tmp_path / "p.json").write_text("[" * 100_000)
    with pytest.raises(ProfileError):
        read(tmp_path / "p.json")
