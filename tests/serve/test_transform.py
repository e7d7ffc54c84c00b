"""What a batch transform is told to ask with, for encoders of every speed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.config import BatchConfig, EngineConfig
from inference.profile.curve import Point, fit
from serve.http.routes.execution_parameters import URLS_A_MB, execution_parameters, images_a_second
from serve.settings import Settings


def config(images_s, size=8, streams=1):
    """An encoder that takes so many images a second in batches of `size`."""
    batch_ms = 1000 * streams * size / images_s
    points = [Point(n, batch_ms * n / size, batch_ms * n / size) for n in (1, 2, 4, 8, 16)]
    return EngineConfig(image=BatchConfig(size, curve=fit(points)), streams=streams)


@pytest.mark.parametrize(
    ("images_s", "answer"),
    [
        (19, (22, "SINGLE_RECORD", 4)),  # ViT-B/32, float32, two cores: 5,700 in 300 s
        (61, (2, "MULTI_RECORD", 1)),  # int8
        (25, (1, "MULTI_RECORD", 1)),
        (1000, (2, "MULTI_RECORD", 7)),  # 50,000 items are the limit of a request
    ],
)
def test_the_answer_for_some_encoders(images_s, answer):
    found = execution_parameters(Settings(), config(images_s))
    assert tuple(found.values()) == answer
    assert [*found] == ["MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"]


@given(
    images_s=st.floats(0.1, 100_000),
    size=st.integers(1, 256),
    streams=st.integers(1, 4),
    timeout_s=st.integers(1, 3600),
    max_body_mb=st.integers(1, 200),
    max_items=st.integers(7_000, 1_000_000),
)
def test_every_answer_is_valid_and_in_time(
    images_s, size, streams, timeout_s, max_body_mb, max_items
):
    settings = Settings(
        batch_timeout_s=timeout_s, max_body_bytes=max_body_mb * 2**20, max_items=max_items
    )
    made = config(images_s, size, streams)
    concurrent, strategy, payload_mb = execution_parameters(settings, made).values()
    assert 1 <= concurrent <= 100
    assert 1 <= payload_mb <= max_body_mb
    assert concurrent * payload_mb <= 100
    if strategy == "MULTI_RECORD":
        items = concurrent * payload_mb * URLS_A_MB
        assert items / images_a_second(made) <= timeout_s / 2
        assert payload_mb * URLS_A_MB <= max_items
    else:
        assert images_a_second(made) * timeout_s / 2 < URLS_A_MB
        assert concurrent >= min(100, 64, 2 * streams * size)


def test_without_a_measurement_records_come_one_by_one():
    assert execution_parameters(Settings(), EngineConfig())["BatchStrategy"] == "SINGLE_RECORD"
