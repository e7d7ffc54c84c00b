"""Where the batch sizes come from."""

import dataclasses
import logging
import time
from collections import Counter

import pytest

from inference.profile.machine import cores, memory_bytes
from inference.profile.profile import MeasuredPoint, Profile, Threads, TowerProfile, write
from inference.tuning.threads import plain
from model.backends.fake import FakeEncoder
from serve.compose import within_memory
from serve.plan import UNTUNED_SIZE, match_of, plan, versions
from serve.settings import Settings

ENCODER = FakeEncoder(fixed_s=0.002, per_item_s=0.0001)
POINTS = tuple(MeasuredPoint(n, 12.5 + 3.25 * n, 15 + 3.25 * n) for n in (1, 2, 4, 8, 16, 24))
TOWER = TowerProfile(24, "throughput", 12.5, 3.25, POINTS)
PROFILE = Profile(match_of(ENCODER.spec), Threads(1, 2, 1, 64), TOWER, TOWER, versions())
FAKE = Settings(backend="fake")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "sweetspot"


def test_a_size_that_is_given_is_taken():
    planned = plan(dataclasses.replace(FAKE, batch_size=3, text_batch_size=5), ENCODER)
    assert (planned.image.batch_size, planned.text.batch_size) == (3, 5)
    # Two points tell how long waiting for company may pay.
    assert [point.n for point in planned.image.curve.points] == [1, 3]


def test_a_profile_that_holds_is_taken(tmp_path):
    path = write(tmp_path, PROFILE)
    planned = plan(dataclasses.replace(FAKE, profile=str(path)), ENCODER)
    assert (planned.image.batch_size, planned.text.batch_size) == (24, 24)
    # What merging two batches saves: the fixed cost.
    assert planned.image.max_wait_s == pytest.approx(0.0125)
    assert planned.threads == PROFILE.threads


def test_what_is_given_comes_before_the_profile(tmp_path):
    path = write(tmp_path, PROFILE)
    given = {"profile": str(path), "batch_size": 7, "decode_threads": 5, "io_threads": 9}
    planned = plan(dataclasses.replace(FAKE, **given), ENCODER)
    assert planned.image.batch_size == 7
    assert planned.text.batch_size == 24
    assert planned.threads == Threads(1, 2, 5, 9)


def test_a_latency_target_chooses_anew_on_the_points_of_the_profile(tmp_path):
    """p95 is 15 + 3.25 n: 28 ms for 4, 41 for 8."""
    path = write(tmp_path, PROFILE)
    settings = dataclasses.replace(FAKE, profile=str(path), latency_target_ms=40)
    assert plan(settings, ENCODER).image.batch_size == 4


def test_a_profile_of_the_cache_is_found(cache):
    write(cache, PROFILE)
    assert plan(FAKE, ENCODER, may_tune=False).image.batch_size == 24


def test_a_profile_of_another_machine_is_not_taken(tmp_path, caplog):
    other = dataclasses.replace(PROFILE, match=dataclasses.replace(PROFILE.match, cpu="another"))
    settings = dataclasses.replace(FAKE, profile=str(write(tmp_path, other)))
    with caplog.at_level(logging.WARNING):
        planned = plan(settings, ENCODER, may_tune=False)
    assert (planned.image.batch_size, planned.text.batch_size) == (UNTUNED_SIZE, UNTUNED_SIZE)
    assert planned.threads == plain(cores())
    assert "has no profile for this" in caplog.text


def test_other_versions_only_warn(tmp_path, caplog):
    older = dataclasses.replace(PROFILE, versions={"torch": "1.0"})
    settings = dataclasses.replace(FAKE, profile=str(write(tmp_path, older)))
    with caplog.at_level(logging.WARNING):
        assert plan(settings, ENCODER).image.batch_size == 24
    assert "was measured with" in caplog.text


def test_with_nothing_else_a_quick_tune_decides(caplog):
    with caplog.at_level(logging.INFO):
        planned = plan(FAKE, ENCODER)
    for batches in (planned.image, planned.text):
        assert batches.batch_size in [point.n for point in batches.curve.points]
    assert caplog.text.count("quick, coarse tune") == 2


def test_a_tune_that_is_too_noisy_says_so_and_how_to_measure_a_profile(caplog):
    calls = Counter()

    def sleep(seconds):
        calls[seconds] += 1
        time.sleep(seconds * (1 + 9 * (calls[seconds] % 2)))  # every other batch of a size is slow

    with caplog.at_level(logging.INFO):
        plan(FAKE, FakeEncoder(fixed_s=0.003, per_item_s=0.00001, sleep=sleep))
    said = [one.message for one in caplog.records if "too noisy to decide" in one.message]
    assert len(said) == 2
    assert all("sweetspot benchmark encoder --write-profile" in one for one in said)


def test_bodies_take_a_quarter_of_the_memory_and_one_always_fits():
    whole = memory_bytes()
    assert within_memory(FAKE) == FAKE
    greedy = dataclasses.replace(FAKE, max_bodies_bytes=2 * whole)
    assert within_memory(greedy).max_bodies_bytes == whole // 4
    one = dataclasses.replace(greedy, max_body_bytes=whole)
    assert within_memory(one).max_bodies_bytes == whole
