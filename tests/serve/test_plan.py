"""Where the batch sizes come from."""

import dataclasses
import logging

import pytest

from inference.profile import MeasuredPoint, Profile, TowerProfile, write
from model.fake import FakeEncoder
from serve.plan import UNTUNED, match_of, plan, versions
from serve.settings import Settings

ENCODER = FakeEncoder(fixed_s=0.002, per_item_s=0.0001)
POINTS = tuple(MeasuredPoint(n, 12.5 + 3.25 * n, 15 + 3.25 * n) for n in (1, 2, 4, 8, 16, 24))
TOWER = TowerProfile(24, "throughput", 12.5, 3.25, POINTS)
PROFILE = Profile(match_of(ENCODER.spec), {"encoder": 2}, TOWER, TOWER, versions())
FAKE = Settings(backend="fake")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "sweetspot"


def test_a_size_that_is_given_is_taken():
    image, text = plan(dataclasses.replace(FAKE, batch_size=3, text_batch_size=5), ENCODER)
    assert (image.batch_size, text.batch_size) == (3, 5)


def test_a_profile_that_holds_is_taken(tmp_path):
    path = write(tmp_path, PROFILE)
    image, text = plan(dataclasses.replace(FAKE, profile=str(path)), ENCODER)
    assert (image.batch_size, text.batch_size) == (24, 24)
    # What merging two batches saves: the fixed cost.
    assert image.max_wait_s == pytest.approx(0.0125)


def test_a_profile_of_the_cache_is_found(cache):
    write(cache, PROFILE)
    assert plan(FAKE, ENCODER, may_tune=False)[0].batch_size == 24


def test_a_profile_of_another_machine_is_not_taken(tmp_path, caplog):
    other = dataclasses.replace(PROFILE, match=dataclasses.replace(PROFILE.match, cpu="another"))
    settings = dataclasses.replace(FAKE, profile=str(write(tmp_path, other)))
    with caplog.at_level(logging.WARNING):
        assert plan(settings, ENCODER, may_tune=False) == (UNTUNED, UNTUNED)
    assert "has no profile that holds" in caplog.text


def test_other_versions_only_warn(tmp_path, caplog):
    older = dataclasses.replace(PROFILE, versions={"torch": "1.0"})
    settings = dataclasses.replace(FAKE, profile=str(write(tmp_path, older)))
    with caplog.at_level(logging.WARNING):
        assert plan(settings, ENCODER)[0].batch_size == 24
    assert "was measured with" in caplog.text


def test_with_nothing_else_a_quick_tune_decides(caplog):
    """2 ms a batch and 0.1 ms an item: batching pays up to large sizes."""
    with caplog.at_level(logging.INFO):
        image, text = plan(FAKE, ENCODER)
    assert image.batch_size >= 16
    assert text.batch_size >= 16
    assert caplog.text.count("quick, coarse tune") == 2
