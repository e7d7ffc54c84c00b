"""The wire format, without a server."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.stats import StageTimes
from inference.types import Answer, Embedding, Failure, ImageBase64, ImageBytes, ImageUrl, Text
from model.backends.fake import FakeEncoder
from serve.errors import CODES, HttpError
from serve.wire.answers import RENDERERS, counted, negotiate, render, render_attributes
from serve.wire.embed_request import Parameters
from serve.wire.protocol import parse

SPEC = FakeEncoder().spec
SPECS = {SPEC.name: SPEC}
URL = "https://example.com/a.png"


def parsed(body, attributes="", max_items=100, content_type="application/json"):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse(content_type, attributes, raw, max_items)


def refused(body, **options):
    with pytest.raises(HttpError) as caught:
        parsed(body, **options)
    return caught.value.code, str(caught.value)


def test_every_form_of_input():
    request = parsed(
        {
            "inputs": [
                {"url": URL},
                {"url": "s3://b/k", "id": "f2"},
                {"image": "AA=="},
                {"text": "x"},
            ]
        }
    )
    assert request.items == [ImageUrl(URL), ImageUrl("s3://b/k"), ImageBase64("AA=="), Text("x")]
    assert request.ids == [None, "f2", None, None]
    assert parsed({"urls": [URL, URL]}).items == [ImageUrl(URL)] * 2
    assert parsed({"images": ["AA=="]}).items == [ImageBase64("AA==")]
    assert parsed({"texts": ["a", "b"]}).items == [Text("a"), Text("b")]
    assert parsed({"url": URL}).items == [ImageUrl(URL)]
    assert parsed({"image": "AA=="}).items == [ImageBase64("AA==")]
    assert parsed({"text": "a"}).items == [Text("a")]


def test_content_types():
    assert parse("", "", b'{"text": "x"}', 9).items == [Text("x")]
    assert parse("application/json; charset=utf-8", "", b'{"text": "x"}', 9).items == [Text("x")]
    assert parse("image/png", "", b"bytes", 9).items == [ImageBytes(b"bytes")]
    assert parse("IMAGE/JPEG", "lane=bulk", b"x", 9).parameters.lane == "bulk"
    for media_type in ("application/x-image", "Application/Octet-Stream; charset=binary"):
        request = parse(media_type, "lane=bulk", b"bytes", 9)
        assert request.items == [ImageBytes(b"bytes")]
        assert request.parameters.lane == "bulk"
    code, message = refused(b"x", content_type="application/x-tar")
    assert code == "unsupported_media_type"
    assert "application/json, application/jsonlines, text/csv, text/plain, image/*" in message
    others = "application/x-image application/octet-stream application/jsonl application/x-ndjson"
    assert all(name in message for name in [*others.split(), "application/x-jsonlines"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b'{"text": NaN}', "not valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"text": ' + b"9" * 10_000 + b"}", "not valid JSON"),
        ([], "the body is an empty list"),
        ("x", "must be a JSON object, not a string"),
        ({}, "give exactly one of inputs, urls"),
        ({"text": "a", "urls": [URL]}, "give exactly one of"),
        ({"text": "a", "modle": "x"}, "unknown field 'modle'; known are inputs, urls, images, "),
        ({"text": "a", "model": []}, "model must be the name of a model, or a list"),
        ({"text": "a", "model": ["x", "x"]}, "model names a model twice"),
        ({"text": "a", "parameters": {"model": "x"}}, "parameters has an unknown field 'model'"),
        ({"inputs": []}, "inputs is empty"),
        ({"urls": []}, "urls is empty"),
        ({"urls": URL}, "urls must be a list, not a string"),
        ({"inputs": {"url": URL}}, "inputs must be a list, not an object"),
        ({"inputs": [URL]}, r'inputs\[0\] must be an object, as {"text": ...}, not a string'),
        ({"inputs": [{"url": URL}, {}]}, r"inputs\[1\] must have exactly one of url, image, text"),
        ({"inputs": [{"url": URL, "text": "x"}]}, r"inputs\[0\] must have exactly one of"),
        (
            {"inputs": [{"url": URL, "crop": 1}]},
            r"inputs\[0\] has an unknown field 'crop'; known are url, image, text, id$",
        ),
        ({"inputs": [{"url": 5}]}, r"inputs\[0\].url must be a string, not a number"),
        ({"inputs": [{"url": URL, "id": 5}]}, r"inputs\[0\].id must be a string, not a number"),
        ({"inputs": [{"url": None}]}, r"inputs\[0\].url must be a string, not null"),
        ({"texts": ["a", True]}, r"texts\[1\] must be a string, not a boolean"),
        ({"text": ["a"]}, "^text must be a string, not a list"),
        (b'{"inputs": [{"text": "a", "id": "\\ud800"}]}', r"inputs\[0\].id is not valid Unicode"),
        ({"text": "a", "parameters": []}, "parameters must be an object, not a list"),
        ({"text": "a", "parameters": {"x": 1}}, "parameters has an unknown field 'x'; known are "),
        ({"text": "a", "parameters": {"encoding": "hex"}}, "encoding must be one of float, base64"),
        ({"text": "a", "parameters": {"lane": 5}}, "lane must be one of interactive, bulk"),
        ({"text": "a", "parameters": {"timings": 1}}, "timings must be true or false"),
        ({"text": "a", "parameters": {"deadline_ms": 0}}, "deadline_ms must be a whole number"),
        ({"text": "a", "parameters": {"deadline_ms": 1.5}}, "deadline_ms must be a whole number"),
        ({"text": "a", "parameters": {"deadline_ms": True}}, "deadline_ms must be a whole number"),
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused_by_its_name(body, message):
    with pytest.raises(HttpError, match=message) as caught:
        parsed(body)
    assert caught.value.code == "bad_request"


def test_values_of_the_right_type_are_never_the_requests_failure():
    """What cannot be used is that item's own failure, later."""
    parsed({"inputs": [{"url": "not a url"}, {"image": "!"}, {"text": ""}, {"text": "\x00"}]})
    assert parsed(b'{"text": "\\ud800"}').items == [Text("\ud800")]


def test_more_items_than_allowed():
    assert refused({"texts": ["a"] * 101})[0] == "payload_too_large"
    assert len(parsed({"texts": ["a"] * 100}).items) == 100


def test_parameters_from_attributes_and_the_body_wins():
    attributes = "lane=bulk; deadline-ms=20000 ;timings=true;unknown=1;;x"
    assert parsed({"text": "a"}, attributes).parameters == Parameters(
        lane="bulk", deadline_ms=20000, timings=True
    )
    body = {"text": "a", "parameters": {"lane": "interactive"}}
    assert parsed(body, attributes).parameters.lane == "interactive"
    code, message = refused({"text": "a"}, attributes="deadline-ms=soon")
    assert code == "bad_request"
    assert "custom attribute deadline-ms" in message


@given(st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(
        ["inputs", "urls", "url", "text", "texts", "image", "id", "parameters", "lane", "stream"]
    ), inner, max_size=4),
    max_leaves=20,
))  # fmt: skip
def test_any_json_is_parsed_or_refused_with_a_listed_code(body):
    try:
        request = parsed(body)
    except HttpError as exc:
        assert exc.code in CODES
    else:
        assert len(request.items) == len(request.ids) > 0


@given(st.binary(max_size=300), st.text(max_size=30), st.text(max_size=60))
def test_any_bytes_are_parsed_or_refused_with_a_listed_code(body, content_type, attributes):
    try:
        parse(content_type, attributes, body, 10)
    except HttpError as exc:
        assert exc.code in CODES


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/*",
        "application/json",
        "text/html, */*;q=0.1",
        "application/json; charset=utf-8",
        "text/html, application/json;charset=utf-8;q=0.5",
    ],
)
def test_json_is_acceptable(accept):
    assert negotiate(accept, RENDERERS) == "application/json"


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/png"])
def test_other_answers_are_not(accept):
    with pytest.raises(HttpError, match="application/json") as caught:
        negotiate(accept, RENDERERS)
    assert caught.value.code == "not_acceptable"


def rendered(request, answer, spec, media_type="application/json", last_newline=True):
    return render(media_type, request, answer, spec, last_newline=last_newline)


def answer_of(*results):
    return Answer(list(results), StageTimes())


def test_an_answer():
    vector = np.linspace(-1, 1, SPEC.dimension, dtype=np.float32)
    results = [
        Embedding(vector),
        Failure("fetch_http_status", "404 Not Found", retryable=False),
        Embedding(vector, truncated=True),
    ]
    inputs = [{"text": "a"}, {"text": "b", "id": "f2"}, {"text": "c"}]
    body = json.loads(rendered(parsed({"inputs": inputs}), answer_of(*results), SPECS))
    assert body["model"] == SPEC.name
    assert body["dimension"] == SPEC.dimension
    assert body["precision"] == "float32"
    assert body["fingerprint"] == SPEC.fingerprint
    assert "timings" not in body
    first, second, third = body["results"]
    assert first.keys() == {"index", "embedding"}
    assert second == {
        "index": 1,
        "id": "f2",
        "error": {"code": "fetch_http_status", "message": "404 Not Found", "retryable": False},
    }
    assert third["truncated"] is True
    np.testing.assert_array_equal(np.float32(first["embedding"]), vector)


def test_floats_carry_no_more_digits_than_float32_needs():
    vector = np.full(SPEC.dimension, 0.1, dtype=np.float32)
    body = rendered(parsed({"text": "a"}), answer_of(Embedding(vector)), SPECS)
    assert b"[0.1,0.1," in body


def test_base64_is_little_endian_float32():
    vector = np.arange(SPEC.dimension, dtype=np.float32)
    request = parsed({"text": "a", "parameters": {"encoding": "base64", "timings": True}})
    body = json.loads(rendered(request, answer_of(Embedding(vector)), SPECS))
    decoded = np.frombuffer(base64.b64decode(body["results"][0]["embedding"]), dtype="<f4")
    np.testing.assert_array_equal(decoded, vector)
    assert body["timings"].keys() == {
        "fetch_ms", "decode_ms", "queue_ms", "encode_ms", "total_ms"
    }  # fmt: skip


def test_attributes_of_an_answer_are_short_ascii():
    failure = Failure("fetch_dns", "é" * 500, retryable=False)
    asked = parsed({"text": "a"})
    odd = replace(SPEC, fingerprint="é\n")
    assert render_attributes(asked, {"é": odd}) == r"fingerprint=\xe9\n"
    text = render_attributes(asked, SPECS, counted(answer_of(failure)))
    assert text.isascii()
    assert len(text) <= 1024
    assert f"fingerprint={SPEC.fingerprint};failures=1;" in text


def test_error_bodies_stay_under_the_platforms_limit():
    for code in CODES:
        body = json.dumps(HttpError(code, "é" * 100_000, retry_after_ms=1000).body())
        assert len(body) < 2048
        assert json.loads(body)["error"]["code"] == code
