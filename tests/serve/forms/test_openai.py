"""OpenAI's embeddings API, asked of the real application."""

import base64

import numpy as np
import pytest

from model.backends.fake import DIMENSION, FakeEncoder
from tests.images import png

ENCODER = FakeEncoder()
IMAGE = base64.b64encode(png()).decode()
DATA_URL = f"data:image/png;base64,{IMAGE}"
TEXT, PICTURE = (
    ENCODER.encode_texts(["a b"])[0][0],
    ENCODER.encode_images(ENCODER.spec.preprocessing(png())[None])[0],
)


def ask(client, body, **options):
    return client.post("/v1/embeddings", json=body, **options)


def image_part(url):
    return {"type": "image_url", "image_url": {"url": url}}


def user(*parts):
    return [{"role": "user", "content": list(parts)}]


@pytest.mark.parametrize(
    ("body", "vectors", "tokens"),
    [
        ({"input": "a b"}, [TEXT], 4),
        ({"input": ["a b", "a b"], "model": "fake", "user": "me"}, [TEXT, TEXT], 8),
        ({"input": {"image": IMAGE}}, [PICTURE], 0),
        ({"input": [{"image": DATA_URL}, {"text": "a b"}, "a b"]}, [PICTURE, TEXT, TEXT], 8),
        ({"input": [DATA_URL, IMAGE], "modality": "image"}, [PICTURE, PICTURE], 0),
        ({"input": "a b", "modality": "text"}, [TEXT], 4),
        ({"messages": user(image_part(DATA_URL))}, [PICTURE], 0),
        ({"messages": user({"type": "text", "text": "a b"})}, [TEXT], 4),
        ({"messages": [{"role": "user", "content": "a b"}]}, [TEXT], 4),
        ({"input": "a b", "dimensions": DIMENSION, "encoding_format": None}, [TEXT], 4),
    ],
)
def test_each_input_has_its_embedding(client, body, vectors, tokens):
    answer = ask(client, body)
    assert answer.status_code == 200
    found = answer.json
    assert (found["object"], found["model"]) == ("list", "fake")
    assert found["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    places = [(one["object"], one["index"]) for one in found["data"]]
    assert places == [("embedding", index) for index in range(len(vectors))]
    np.testing.assert_array_equal(np.float32([one["embedding"] for one in found["data"]]), vectors)


def test_base64_is_little_endian_float32(client):
    (one,) = ask(client, {"input": "a b", "encoding_format": "base64"}).json["data"]
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(one["embedding"]), "<f4"), TEXT)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "give either input or messages"),
        ({"input": "a", "messages": []}, "give either input or messages"),
        ({"input": []}, "input is empty"),
        ({"input": None}, "input must be a text"),
        ({"input": ["a", True]}, "input[1] must be a text"),
        ({"input": [{"audio": "x"}]}, "input[0] must be a text"),
        ({"input": [[1, 2], [3]]}, "input[0] holds tokens of another model's tokenizer"),
        ({"input": [1, 2]}, "input[0] holds tokens of another model's tokenizer"),
        ({"input": "a", "modality": "audio"}, "modality must be one of text, image"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format must be one of float, base64"),
        ({"input": "a", "dimensions": 8}, f"dimensions must be {DIMENSION}, the model's"),
        ({"input": "a", "dimensions": "8"}, "dimensions must be a whole number, not a string"),
        ({"input": "a", "model": ["fake"]}, "model must be the name of a model"),
        ({"input": "a", "inputs": "b"}, "unknown field 'inputs'"),
        ({"messages": []}, "messages must be one message"),
        ({"messages": user(image_part(DATA_URL), {"type": "text", "text": "a"})}, "one part"),
        ({"messages": user({"type": "input_audio"})}, "text or image_url"),
        ({"messages": [5]}, "messages must be one message"),
        ({"messages": "a"}, "messages must be one message"),
    ],
)
def test_what_is_malformed_is_refused_in_the_apis_form(client, body, message):
    answer = ask(client, body)
    assert answer.status_code == 400
    error = answer.json["error"]
    assert message in error.pop("message")
    assert error == {"type": "invalid_request_error", "param": None, "code": "bad_request"}


def test_other_refusals_have_the_apis_form_too(client):
    answers = [
        ask(client, {"input": "a", "model": "x"}),
        ask(client, {"input": ["a"] * 21}),
        client.post("/v1/embeddings", data=b"a", content_type="text/plain"),
        client.get("/v1/models/x"),
        client.get("/v1/embeddings"),
    ]
    assert [(one.status_code, one.json["error"]["code"]) for one in answers] == [
        (404, "model_not_found"),
        (413, "payload_too_large"),
        (415, "unsupported_media_type"),
        (404, "model_not_found"),
        (405, "bad_request"),
    ]
    assert all("type" in one.json["error"] for one in answers)


def test_a_failed_item_ends_the_request_and_is_named(client):
    answer = ask(client, {"input": ["a", {"image": "!"}]})
    assert answer.status_code == 422
    assert answer.headers["x-should-retry"] == "false"
    error = answer.json["error"]
    assert error.pop("message").startswith("item 1: decode_corrupt: ")
    expected = {"param": "input[1]", "code": "decode_corrupt"}
    assert error == {"type": "invalid_request_error"} | expected


def test_a_failure_that_may_pass_is_tried_again_by_clients(client, nobody):
    answer = ask(client, {"input": {"image": f"{nobody}/a.png"}})
    assert (answer.status_code, answer.json["error"]["code"]) == (422, "fetch_connect")
    assert answer.headers["x-should-retry"] == "true"


def test_who_allows_it_gets_null_in_the_place_of_a_failure(client):
    headers = {"X-Sweetspot-Partial": "allow"}
    answer = ask(client, {"input": ["a b", {"image": "!"}]}, headers=headers)
    assert answer.status_code == 200
    first, second = answer.json["data"]
    np.testing.assert_array_equal(np.float32(first["embedding"]), TEXT)
    assert (second["index"], second["embedding"]) == (1, None)
    assert second["error"]["code"] == "decode_corrupt"


def test_models_are_listed(client):
    listed = client.get("/v1/models").json
    assert listed["object"] == "list"
    (one,) = listed["data"]
    assert (one["id"], one["object"], one["owned_by"]) == ("fake", "model", "sweetspot")
    assert client.get("/v1/models/fake").json == one
