"""The forms of OpenSearch's connectors, asked of the real application."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.types import Embedding
from model.backends.fake import FakeEncoder
from serve.errors import BadRequest, ItemFailed
from serve.wire.embed_request import Parameters
from serve.wire.forms.opensearch import Vectors, mean
from tests.images import png

ENCODER = FakeEncoder()
IMAGE = base64.b64encode(png()).decode()


def text_vector(text):
    return ENCODER.encode_texts([text])[0][0]


def image_vector():
    return ENCODER.encode_images(ENCODER.spec.preprocessing(png())[None])[0]


def test_a_list_of_texts_is_answered_by_a_list_of_vectors(client):
    answer = client.post("/invocations", json=["a", "b", "a"])
    assert answer.status_code == 200
    expected = ENCODER.encode_texts(["a", "b", "a"])[0]
    np.testing.assert_array_equal(np.float32(answer.json), expected)


@pytest.mark.parametrize(
    ("body", "vectors"),
    [
        ({"inputText": "a"}, [text_vector("a")]),
        ({"inputText": "a", "inputImage": None}, [text_vector("a")]),
        ({"inputText": None, "inputImage": IMAGE}, [image_vector()]),
        ({"inputImage": f"data:image/png;base64,{IMAGE}"}, [image_vector()]),
        ({"inputText": "a", "inputImage": IMAGE}, [text_vector("a"), image_vector()]),
    ],
)
def test_a_text_and_an_image_are_answered_by_their_mean(client, body, vectors):
    answer = client.post("/invocations", json=body)
    total = np.sum(vectors, axis=0)
    assert answer.json.keys() == {"embedding"}
    np.testing.assert_allclose(answer.json["embedding"], total / np.linalg.norm(total), atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(2, 512))
def test_a_mean_has_unit_norm_and_lies_between_its_parts(seed, dimension):
    both = np.random.default_rng(seed).standard_normal((2, dimension)).astype(np.float32)
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    found = mean([Embedding(one) for one in both])
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found), 1, atol=1e-5)
    first, second = both @ found
    np.testing.assert_allclose(first, second, atol=1e-4)
    assert first >= 0


def test_parts_that_cancel_each_other_have_no_mean():
    vector = text_vector("a")
    with pytest.raises(ItemFailed, match="cancel"):
        mean([Embedding(vector), Embedding(-vector)])


@pytest.mark.parametrize(
    ("body", "index", "code"),
    [
        (["a", "", "b"], 1, "text_invalid"),
        ({"inputText": "a", "inputImage": "!"}, 1, "decode_corrupt"),
        ({"inputImage": "http://elsewhere.invalid/a.png"}, 0, "fetch_blocked"),
    ],
)
def test_an_item_that_fails_is_named(client, body, index, code):
    answer = client.post("/invocations", json=body)
    assert answer.status_code == 422
    error = answer.json["error"]
    assert (error["code"], error["index"], error["item_code"]) == ("item_failed", index, code)
    assert error["message"].startswith(f"item {index}: {code}: ")
    assert error["retryable"] is False


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "the body is an empty list"),
        (["a", 5], r"[1] must be a string, not a number"),
        ({"inputText": None}, "give inputText, inputImage or both"),
        ({"inputText": 5}, "inputText must be a string or null, not a number"),
        ({"inputText": "a", "texts": ["b"]}, "unknown field 'texts'"),
    ],
)
def test_what_is_malformed_is_refused_by_its_name(client, body, message):
    answer = client.post("/invocations", json=body)
    assert answer.status_code == 400
    assert message in answer.json["error"]["message"]


def test_too_many_texts(client):
    assert client.post("/invocations", json=["a"] * 21).status_code == 413


def test_it_cannot_be_streamed(client):
    headers = {"X-Amzn-SageMaker-Custom-Attributes": "stream=true"}
    answer = client.post("/invocations", json=["a"], headers=headers)
    assert answer.status_code == 400
    assert "cannot be streamed" in answer.json["error"]["message"]


def test_it_takes_one_model():
    spec = ENCODER.spec
    with pytest.raises(BadRequest, match="takes one model"):
        Vectors().check(Parameters(model=("a", "b")), {"a": spec, "b": spec})
