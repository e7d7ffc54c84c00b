"""What holds for any input: every item once, in order, within the limits, its own embedding."""

import json
from base64 import b64encode
from collections import Counter, deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.client import Client, Embedded, EndpointError, Failed, Patience
from deploy.client.chunks import Limits, fits, items_for, take
from deploy.client.retrying import pause_s
from inference.profile.profile import Match, MeasuredPoint, Profile, Threads, TowerProfile
from serve.wire.client_side import (
    FRAME_BYTES,
    Item,
    decode_answer,
    decode_refusal,
    encode_body,
    encode_item,
)
from tests.deploy.container import Container, embedding, refusal

QUICK = Patience(items=3, first_s=0.001, most_s=0.002)
OVERLOADED = refusal("overloaded", 503, retryable=True, retry_after_ms=1)


@pytest.fixture(scope="module")
def container():
    with Container() as running:
        yield running


item_lists = st.lists(st.binary(max_size=300), max_size=60).map(
    lambda datas: [Item(index, None, b"{%s}" % data) for index, data in enumerate(datas)]
)
limits = st.builds(
    Limits, items=st.integers(1, 20), body_bytes=st.integers(FRAME_BYTES + 302, FRAME_BYTES + 2000)
)


@given(item_lists, limits, st.booleans())
def test_chunks_hold_every_item_once_in_order_within_both_limits(items, limits, bulk):
    assert all(fits(item, limits) for item in items)
    waiting, chunks = deque(items), []
    while waiting:
        chunks.append(take(waiting, limits))
    assert [item for chunk in chunks for item in chunk] == items
    for chunk in chunks:
        assert 1 <= len(chunk) <= limits.items
        assert len(encode_body(chunk, bulk=bulk)) <= limits.body_bytes


@given(item_lists, limits)
def test_no_chunk_could_have_held_the_next_item_too(items, limits):
    waiting = deque(items)
    while waiting:
        chunk = take(waiting, limits)
        if waiting and len(chunk) < limits.items:
            more = encode_body([*chunk, waiting[0]], bulk=True)
            assert len(more) > limits.body_bytes


@given(st.integers(1, 4096), st.integers(1, 64))
def test_requests_by_a_profile_are_whole_multiples_of_full_batches(batch_size, streams):
    tower = TowerProfile(batch_size, "knee", 1, 1, (MeasuredPoint(1, 1, 1),))
    match = Match("cpu", 2, "cpu", "f1", "openvino", "int8")
    items = items_for(Profile(match, Threads(1, streams, 1, 1), tower, tower))
    assert items % (batch_size * streams) == 0
    assert items >= 64
    assert items < 64 + batch_size * streams


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).map("t {}".format)
flaky = st.builds("flaky {} {}".format, st.integers(1, 2), st.integers(0, 9))
texts = st.lists(
    st.one_of(words, words, flaky, st.sampled_from(["dead 1", "down 1"])), max_size=40, unique=True
)


refusals = st.lists(st.sampled_from([OVERLOADED, None, (502, "a proxy"), (429, {})]), max_size=9)


@settings(max_examples=60)
@given(texts, refusals, st.integers(1, 9), st.integers(1, 4))
def test_each_result_is_of_its_item_in_order_whatever_fails(
    container, texts, refusals, items, concurrency
):
    container.refusals = list(refusals)
    container.asked.clear()
    container.bodies.clear()
    with Client(container.url, items=items, concurrency=concurrency, patience=QUICK) as client:
        results = list(client.embed({"text": one, "id": one} for one in texts))
    assert [one.index for one in results] == list(range(len(texts)))
    assert [one.id for one in results] == texts
    for text, result in zip(texts, results, strict=True):
        if text.startswith(("dead", "down")):
            assert isinstance(result, Failed)
        else:
            assert result == Embedded(result.index, text, embedding(text))
    # Once what is not retryable; what is, as often as it takes, three times at most.
    tries = {"dead": 1, "down": 3}
    for text in texts:
        word, *more = text.split()
        wanted = 1 + int(more[0]) if word == "flaky" else tries.get(word, 1)
        assert container.asked[text] == wanted
    assert all(len(json.loads(body)["inputs"]) <= items for body in container.bodies)


@given(st.text(min_size=1) | st.sampled_from(["\ud800", "\0", "é", '"']))
def test_any_text_travels_as_it_is(text):
    assert json.loads(encode_body([encode_item(0, {"text": text})], bulk=True))["inputs"] == [
        {"text": text}
    ]


@given(st.lists(st.binary(min_size=1, max_size=2000), min_size=1, max_size=20))
def test_bodies_of_images_stay_within_the_limit_and_larger_ones_fail_alone(container, images):
    container.bodies.clear()
    with Client(container.url, max_body_bytes=1000, patience=QUICK) as client:
        results = list(client.embed_images(images))
    assert [one.index for one in results] == list(range(len(images)))
    assert all(len(body) <= 1000 for body in container.bodies)
    kinds = Counter(type(one) for one in results)
    too_large = sum(len(encode_item(0, {"image": one}).data) + FRAME_BYTES > 1000 for one in images)
    assert kinds[Failed] == too_large
    codes = {one.code for one in results if isinstance(one, Failed)}
    assert codes <= {"payload_too_large"}


@given(st.integers(1, 10_000), st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_pause_is_never_longer_than_asked_for_however_often_it_was_tried(tries, first_s, most_s):
    assert 0 <= pause_s(Patience(first_s=first_s, most_s=most_s), tries) <= most_s


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
keys = st.sampled_from(["error", "code", "message", "retryable", "retry_after_ms", "results"])
documents = st.recursive(
    scalars | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=20,
)
errors = st.fixed_dictionaries(
    {"code": documents, "message": documents, "retryable": documents, "retry_after_ms": documents}
)
bodies = st.binary(max_size=50) | st.one_of(
    documents, errors.map(lambda error: {"error": error})
).map(lambda document: json.dumps(document).encode())


@given(st.integers(100, 599), bodies)
def test_whatever_a_refusal_says_it_is_an_endpoint_error(status, body):
    error = decode_refusal(status, body)
    assert isinstance(error.retryable, bool)
    assert error.retry_after_s is None or error.retry_after_s >= 0


answers = st.fixed_dictionaries(
    {
        "dimension": st.just(4) | documents,
        "fingerprint": documents,
        "results": documents
        | st.lists(
            st.fixed_dictionaries(
                {"index": st.just(0) | documents},
                optional={
                    "embedding": documents | st.binary().map(lambda raw: b64encode(raw).decode()),
                    "error": documents | errors,
                },
            ),
            max_size=2,
        ),
    }
)


@given(bodies | answers.map(lambda answer: json.dumps(answer).encode()))
def test_whatever_an_answer_says_it_is_results_or_a_bad_answer(body):
    try:
        answer = decode_answer(body, [Item(7, "mine", b"")])
    except EndpointError as exc:
        assert (exc.code, exc.retryable) == ("bad_answer", False)
    else:
        (result,) = answer.results
        assert (result.index, result.id) == (7, "mine")
