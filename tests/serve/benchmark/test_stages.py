"""How busy the stages are, and what limits."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.profile.profile import Threads
from model.backends.fake import FakeEncoder
from model.backends.runtime import cpu_has_bfloat16
from model.config import ModelConfig
from serve.benchmark.pipeline_stages.faster import faster_precisions
from serve.benchmark.pipeline_stages.stages import Spent, Stage, limit, stages

THREADS = Threads(encoder=2, streams=2, decode=4, io=32)
shares = st.floats(0, 1)


def sentence(fetch, decode, encode, full=1.0, on_cpu=True, spare_cores=True, faster=()):
    busy = {"fetch": fetch, "decode": decode, "queue": None, "encode": encode}
    found = [Stage(name, 1, share, 1.0) for name, share in busy.items()]
    return limit(found, full, on_cpu=on_cpu, spare_cores=spare_cores, faster=faster)


def test_busy_is_thread_time_an_image_by_images_a_second_over_threads():
    spent = Spent({"fetch": 0.032, "decode": 0.02, "encode": 0.01}, {"queue": 5.0})
    found = {one.name: one for one in stages(spent, 100.0, THREADS)}
    assert list(found) == ["fetch", "decode", "queue", "encode"]
    assert {name: one.busy for name, one in found.items()} == {
        "fetch": pytest.approx(0.1),
        "decode": pytest.approx(0.5),
        "queue": None,
        "encode": pytest.approx(0.5),
    }
    assert (found["encode"].threads, found["queue"].threads) == (2, None)
    assert found["queue"].p50_ms == 5.0


@given(st.floats(0, 1e3), st.floats(0, 1e5))
def test_nothing_is_busier_than_always(thread_s, images_s):
    found = stages(Spent({"decode": thread_s}), images_s, THREADS)
    assert 0 <= found[1].busy <= 1


@pytest.mark.parametrize(
    ("busy", "options", "words"),
    [
        ((0.1, 0.3, 0.85), {}, "the encoder limits"),
        ((0.1, 0.8, 0.9), {}, "the encoder and decoding limit together, since they share the"),
        ((0.1, 0.8, 0.9), {"on_cpu": False}, "the encoder limits"),
        ((0.9, 0.1, 0.9), {}, "the encoder limits"),
        ((0.1, 0.9, 1.0), {"full": 0.1}, "decoding limits, on cores that it shares with the enc"),
        ((0.1, 0.9, 1.0), {"full": 0.1, "on_cpu": False}, "decoding limits; for more images"),
        ((0.1, 0.3, 1.0), {"full": 0.1}, "the encoder is busy with batches that are not full"),
        ((0.1, 0.8, 0.84), {}, "decoding limits; for more images a second use more --decode-thr"),
        ((0.1, 0.9, 0.1), {"spare_cores": False}, "use a larger instance or smaller images"),
        ((0.8, 0.79, 0.1), {}, "fetching limits; for more images a second use more --io-threads"),
        ((0.9, 0.85, 0.1), {}, "fetching limits"),
        ((0.79, 0.79, 0.84), {}, "nothing is busy; for more images a second use more requests"),
    ],
)
def test_the_sentence_names_what_limits_and_what_helps(busy, options, words):
    assert words in sentence(*busy, **options)


@given(shares, shares, shares, shares, st.booleans(), st.booleans())
def test_a_stage_is_blamed_only_when_it_is_busy(fetch, decode, encode, full, on_cpu, spare_cores):
    said = sentence(fetch, decode, encode, full, on_cpu, spare_cores)
    for name, share in (("fetching", fetch), ("decoding", decode), ("the encoder", encode)):
        assert not said.startswith(name) or share >= 0.8
    assert said.startswith("nothing") == (encode < 0.85 and max(fetch, decode) < 0.8)


def test_an_encoder_in_float32_names_what_this_machine_does_faster_before_a_larger_one():
    spec = replace(FakeEncoder().spec, backend="openvino", precision="float32")
    faster = faster_precisions(ModelConfig(), spec)
    assert faster[0].startswith("int8 (sweetspot quantize")
    assert faster[1:] == (("--precision bfloat16",) if cpu_has_bfloat16() else ())
    assert sentence(0.1, 0.3, 0.9, faster=("int8", "bfloat16")) == (
        "the encoder limits in float32; for more images a second use int8, bfloat16, "
        "a larger instance, a GPU or a smaller model"
    )
    assert "limit together" in sentence(0.1, 0.8, 0.9, faster=faster)
    assert faster[0] in sentence(0.1, 0.8, 0.9, faster=faster)
    assert faster_precisions(ModelConfig(), replace(spec, precision="int8")) == ()


def test_without_a_measurement_nothing_limits():
    found = stages(Spent(), 0.0, THREADS)
    assert limit(found, 0.0, on_cpu=True, spare_cores=True) == "nothing was measured"
