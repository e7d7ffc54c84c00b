"""Whatever is asked: a parsed request, or a refusal of the closed list; never another end."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inference.types import ImageFile, Item
from serve.compose import open_engine
from serve.errors import CODES, HttpError
from serve.http.app import create_app
from serve.http.service import Service
from serve.settings import Settings
from serve.wire.answers import RENDERERS, negotiate
from serve.wire.media_types import CUSTOM_ATTRIBUTES
from serve.wire.parameters import from_attributes
from serve.wire.protocol import parse
from tests.serve.any_request import (
    accepts,
    attributes,
    bodies,
    content_types,
    header_texts,
    valid_requests,
)

MAX_ITEMS = 20
MAX_BODY_CHARS = 2048
REFUSALS = set(CODES) - {"internal"}


def assert_listed(error):
    assert error.code in REFUSALS
    assert len(json.dumps(error.body())) < MAX_BODY_CHARS


@given(content_types, attributes, bodies)
@example("", "", b'{"text": ' + b"9" * 5000 + b"}")
@example("application/json", "", b"[" * 10_000_000)
@example("text/csv", "", b'"' + b"a" * 200_000)
def test_a_body_is_a_request_or_refused(content_type, attributes, body):
    try:
        request = parse(content_type, attributes, body, MAX_ITEMS)
    except HttpError as exc:
        assert_listed(exc)
    else:
        assert 0 < len(request.ids) <= MAX_ITEMS
        assert len(request.items) == len(request.ids) or request.form is not None
        assert all(isinstance(item, Item) for item in request.items)
        assert not any(isinstance(item, ImageFile) for item in request.items)


@given(valid_requests)
def test_what_is_right_is_parsed_whatever_it_says(body):
    """A value that cannot be used is that item's failure, later."""
    request = parse("application/json", "", json.dumps(body).encode(), MAX_ITEMS)
    assert len(request.items) > 0


@given(accepts)
def test_an_accept_header_is_served_or_refused(accept):
    try:
        assert negotiate(accept, RENDERERS) in RENDERERS
    except HttpError as exc:
        assert exc.code == "not_acceptable"
        assert_listed(exc)


@given(attributes)
def test_custom_attributes_are_parameters_or_refused(header):
    try:
        from_attributes(header)
    except HttpError as exc:
        assert exc.code == "bad_request"
        assert_listed(exc)


@given(st.sampled_from(sorted(CODES)), st.text(max_size=600), st.integers(0, 10**9))
@example("bad_request", "\0" * 600, 10**9)
def test_an_error_fits_into_what_the_platform_passes_on(code, message, retry_after_ms):
    assert len(json.dumps(HttpError(code, message, retry_after_ms).body())) < MAX_BODY_CHARS


@pytest.fixture(scope="module")
def client():
    """Of the real application, on a service that fetches from nowhere."""
    settings = Settings(
        backend="fake", only_host=("nowhere.invalid",), max_items=MAX_ITEMS, max_body_bytes=10**6
    )
    service = Service(settings)
    with open_engine(settings, may_tune=False) as service.engine:
        yield create_app(service).test_client()


@given(
    body=bodies,
    headers=st.fixed_dictionaries(
        {},
        optional={
            "CONTENT_TYPE": content_types,
            "HTTP_ACCEPT": accepts,
            "HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES": attributes,
        },
    ),
)
def test_no_body_and_no_header_ends_in_an_internal_error(client, body, headers):
    answer = client.post("/invocations", data=body, environ_overrides=headers)
    assert_answered_or_refused(answer)


@given(
    method=st.sampled_from(["POST", "GET", "PUT", "OPTIONS", "BREW"]),
    path=st.sampled_from(["/invocations", "/ping", "/metrics"]) | header_texts,
    headers=st.fixed_dictionaries(
        {},
        optional={
            "HTTP_CONTENT_ENCODING": st.sampled_from(["identity", "gzip", "", "é"]) | header_texts,
            "HTTP_HOST": header_texts,
            "CONTENT_LENGTH": st.sampled_from(["", "0", "5", "-1", "²", "x", "9" * 5000]),
        },
    ),
)
def test_no_method_and_no_path_ends_in_an_internal_error(client, method, path, headers):
    overrides = {"PATH_INFO": f"/{path.lstrip('/')}", **headers}
    answer = client.open(method=method, data=b'{"text": "a"}', environ_overrides=overrides)
    assert_answered_or_refused(answer)


def assert_answered_or_refused(answer):
    data = answer.get_data()
    assert answer.status_code < 500
    if answer.status_code >= 400:
        assert len(data) < MAX_BODY_CHARS
        assert json.loads(data)["error"]["code"] in REFUSALS
    assert len(answer.headers.get(CUSTOM_ATTRIBUTES, "")) <= 1024
