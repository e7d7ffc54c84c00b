"""Mutated and hostile images mean the same in preparing processes as in threads, and end none."""

import time

import numpy as np
import pytest

from inference.config import EngineConfig, FetchConfig
from inference.engine.engine import Engine
from inference.types import Failure, ImageBytes
from model.backends.fake import FakeEncoder
from tests.fuzz.mutate import mutated
from tests.hostile_images import REFUSED

COUNT = 150


@pytest.fixture(scope="module")
def images():
    return [ImageBytes(mutated(11, number).data) for number in range(COUNT)] + [
        ImageBytes(make()) for make in REFUSED.values()
    ]


def embedded(images, processes):
    """Results, of processes that were all there at the end."""
    with Engine(FakeEncoder(), FetchConfig(), EngineConfig(processes=processes)) as engine:
        engine.embed(images[:1], time.monotonic() + 60)
        before = engine.processes()
        results = engine.embed(images, time.monotonic() + 300).results
        assert engine.processes() == before
    return results


def test_images_have_the_same_results_on_both_ways(images):
    in_threads, in_processes = (embedded(images, count) for count in (0, 2))
    codes = {one.code for one in in_threads if isinstance(one, Failure)}
    assert codes == {"decode_corrupt", "decode_unsupported", "decode_too_many_pixels"}
    for one, other in zip(in_threads, in_processes, strict=True):
        if isinstance(one, Failure):
            assert other == one
        else:
            np.testing.assert_array_equal(other.vector, one.vector)
