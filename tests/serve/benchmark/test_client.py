"""Asking by URL and through SageMaker: the same answers, the same errors."""

import json

import pytest

from inference.loadtest.summary import Outcome, RequestFailed
from serve.asking.transports import HttpTransport, SageMakerTransport, runtime_client
from serve.benchmark.endpoint_load.client import Body, ask, invoke
from tests.servers import ScriptedContainer

GOOD = {"index": 0, "embedding": [1.0]}
DEAD = {"index": 1, "error": {"code": "fetch_dns", "message": "x", "retryable": False}}
BODY = Body(b'{"urls": ["http://x/"]}')


def overloaded(retry_after_ms=1):
    error = {"code": "overloaded", "message": "busy", "retryable": True}
    return 503, {"error": error | {"retry_after_ms": retry_after_ms}}


def by_url(container):
    return HttpTransport(container.url)


def by_name(container):
    client = runtime_client(4, endpoint_url=container.url, region_name="us-east-1")
    return SageMakerTransport("clip", client)


both = pytest.mark.parametrize("target", [by_url, by_name])


@both
def test_items_are_counted_by_what_became_of_them(target):
    with ScriptedContainer((200, {"results": [GOOD, DEAD, GOOD]})) as container:
        assert invoke(target(container), BODY) == Outcome(2, {"fetch_dns": 1})
    ((path, headers, body),) = container.requests
    assert path in {"/invocations", "/endpoints/clip/invocations"}
    assert headers["Content-Type"] == headers["Accept"] == "application/json"
    assert body == BODY.data


@both
def test_an_overloaded_container_is_waited_for(target):
    replies = [overloaded(), overloaded(), (200, {"results": [GOOD]})]
    with ScriptedContainer(*replies) as container:
        assert invoke(target(container), BODY) == Outcome(1, {}, retried=2)


@both
def test_waiting_ends_after_five_tries(target):
    with ScriptedContainer(overloaded()) as container, pytest.raises(RequestFailed) as caught:
        invoke(target(container), BODY)
    assert caught.value.code == "overloaded"
    assert caught.value.retried == 4
    assert len(container.requests) == 5


@both
def test_other_errors_of_the_container_keep_their_code(target):
    error = {"code": "bad_request", "message": "urls is empty", "retryable": False}
    with (
        ScriptedContainer((400, {"error": error})) as container,
        pytest.raises(RequestFailed, match="urls is empty") as caught,
    ):
        invoke(target(container), BODY)
    assert caught.value.code == "bad_request"
    assert len(container.requests) == 1


@both
def test_an_error_in_another_form_is_counted_by_its_status(target):
    with (
        ScriptedContainer((502, {"what": "is this"})) as container,
        pytest.raises(RequestFailed) as caught,
    ):
        invoke(target(container), BODY)
    assert caught.value.code == "http_502"


@both
@pytest.mark.parametrize("body", [{"results": 3}, [1], {"hello": "world"}])
def test_an_answer_of_another_service_is_not_taken_for_one(target, body):
    with ScriptedContainer((200, body)) as container, pytest.raises(RequestFailed) as caught:
        invoke(target(container), BODY)
    assert caught.value.code == "bad_answer"


@both
def test_a_connection_that_breaks_is_an_error_of_its_own(target):
    with ScriptedContainer(overloaded(), None) as container, pytest.raises(RequestFailed) as caught:
        invoke(target(container), BODY)
    assert caught.value.code == "broken"
    assert caught.value.retried == 1


@both
def test_nobody_there_is_said_in_plain_words(target):
    with ScriptedContainer(overloaded()) as container:
        gone = target(container)
    with pytest.raises(RequestFailed) as caught:
        invoke(gone, BODY)
    assert caught.value.code == "connect"


def test_a_refused_connection_is_called_so():
    with ScriptedContainer(overloaded()) as container:
        gone = HttpTransport(container.url)
    with pytest.raises(RequestFailed, match="^connection refused$"):
        ask(gone, BODY)


@pytest.mark.parametrize(
    ("status", "code"), [(400, "ThrottlingException"), (400, "ValidationError")]
)
def test_errors_of_sagemaker_itself_are_counted_by_code_and_not_retried(status, code):
    with (
        ScriptedContainer((500, {"aws": [status, code]})) as container,
        pytest.raises(RequestFailed, match="from AWS") as caught,
    ):
        invoke(by_name(container), BODY)
    assert caught.value.code == code
    assert len(container.requests) == 1


def test_an_image_is_sent_as_what_it_is():
    with ScriptedContainer((200, {"results": [GOOD]})) as container:
        answer, _ = ask(HttpTransport(container.url), Body(b"\x89PNG", "image/png"))
    assert json.loads(json.dumps(answer)) == {"results": [GOOD]}
    assert container.requests[0][1]["Content-Type"] == "image/png"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://localhost:8080", "http://localhost:8080/invocations"),
        ("http://localhost:8080/", "http://localhost:8080/invocations"),
        ("https://x.org/clip/invocations", "https://x.org/clip/invocations"),
    ],
)
def test_the_path_may_be_left_out(url, name):
    assert HttpTransport(url).name == name


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.0.0.5", True), ("[::1]", True), ("10.0.0.1", False), ("x", False)],
)
def test_an_endpoint_knows_whether_it_is_on_this_machine(host, local):
    assert HttpTransport(f"http://{host}:8080").is_local is local


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x", "http://", "x"])
def test_what_is_no_url_is_refused_with_an_example(url):
    with pytest.raises(ValueError, match=r"such as http://localhost:8080"):
        HttpTransport(url)
