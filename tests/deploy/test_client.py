"""The client against a container that refuses, breaks off, changes; by URL and through boto3."""

import gc
import json
import logging
import pickle
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import wait
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from itertools import count, islice
from subprocess import PIPE

import boto3
import pytest
from botocore.config import Config

from deploy.client import (
    Client,
    Embedded,
    EndpointError,
    Failed,
    FingerprintChanged,
    Patience,
)
from deploy.client.chunks import Limits
from deploy.client.ordered_requests import OrderedRequests
from deploy.client.retrying import ask as send
from serve.asking import transports
from serve.asking.transports import connect
from serve.wire.client_side import encode_item
from tests.deploy.container import Container, embedding, refusal
from tests.e2e.service import ROOT
from tests.servers import LocalServer, ScriptedContainer

QUICK = Patience(requests=4, items=3, first_s=0.001, most_s=0.002)
OVERLOADED = refusal("overloaded", 503, retryable=True, retry_after_ms=1)
GONE = refusal("bad_request", 400, retryable=False)
TEXTS = [f"t {number}" for number in range(10)]


def embed(container, texts=TEXTS, **options):
    with Client(container.url, patience=QUICK, **options) as client:
        return list(client.embed_texts(texts))


def runtime(url):
    config = Config(retries={"total_max_attempts": 1})
    return boto3.client("sagemaker-runtime", endpoint_url=url, config=config)


@pytest.mark.parametrize(
    "refusals",
    [
        [OVERLOADED],
        [refusal("not_ready", 503, retryable=True)],
        [None],
        [(502, "<html>a proxy's</html>")],
        [None, OVERLOADED, (429, {})],
    ],
)
def test_a_request_that_may_pass_is_sent_again(refusals):
    with Container(refusals) as container:
        results = embed(container)
    assert [one.embedding for one in results] == [embedding(text) for text in TEXTS]
    assert len(container.bodies) == 1 + len(refusals)


@pytest.mark.parametrize(
    ("refused", "code"),
    [(GONE, "bad_request"), ((404, {"detail": "Not Found"}), "http_404"), ((302, ""), "http_302")],
)
def test_a_request_that_cannot_pass_is_sent_once(refused, code):
    with Container([refused]) as container, pytest.raises(EndpointError, match=code):
        embed(container)
    assert len(container.bodies) == 1


def test_patience_ends_after_so_many_requests():
    with Container([OVERLOADED] * 9) as container, pytest.raises(EndpointError) as caught:
        embed(container)
    assert caught.value.code == "overloaded"
    assert len(container.bodies) == QUICK.requests


def test_patience_ends_when_no_time_is_left():
    patience = Patience(first_s=1000, most_s=1000, total_s=0.001)
    with (
        Container([OVERLOADED, None]) as container,
        Client(container.url, patience=patience) as it,
        pytest.raises(EndpointError),
    ):
        list(it.embed_texts(TEXTS))
    assert len(container.bodies) <= 2


def test_a_retry_after_beyond_patience_is_not_waited_for():
    long = refusal("overloaded", 503, retryable=True, retry_after_ms=10**9)
    patience = Patience(total_s=5)
    with (
        Container([long]) as container,
        Client(container.url, patience=patience) as client,
        pytest.raises(EndpointError),
    ):
        list(client.embed_texts(TEXTS))


def test_it_is_said_once_that_a_request_is_sent_again(caplog):
    caplog.set_level(logging.WARNING, "deploy.client.retrying")
    with Container([OVERLOADED, OVERLOADED]) as container:
        embed(container, items=64)
    said = f"retrying for at most {QUICK.total_s:g} s: overloaded: as asked"
    assert [one.message for one in caplog.records] == [said]


def test_an_endpoint_that_is_not_there_is_named_by_its_url():
    with Container() as container:
        url = container.url
    with Client(url, patience=QUICK) as client, pytest.raises(EndpointError) as caught:
        list(client.embed_texts(TEXTS))
    assert str(caught.value) == (
        f"connect: nothing answers at {url}/invocations: connection refused"
    )


class Counted:
    """A transport, and how often something was sent by it."""

    def __init__(self, transport):
        self._transport, self.sent = transport, 0

    def __getattr__(self, name):
        return getattr(self._transport, name)

    def send(self, *body):
        self.sent += 1
        return self._transport.send(*body)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "nosuch.invalid"])
def test_an_address_that_nothing_ever_answered_is_given_up_early(host):
    """A service that answered before is waited for, as when it restarts."""
    early = Patience(requests=5, first_s=0.001, most_s=0.001, contact_s=0)
    reached, item = threading.Event(), encode_item(0, {"text": "a"})
    for tries in (1, early.requests):
        transport = Counted(connect(f"http://{host}", None, 1))
        with pytest.raises(EndpointError, match=f"nothing answers at http://{host}/invocations"):
            send(transport, [item], early, threading.Event(), bulk=False, reached=reached)
        assert transport.sent == tries
        reached.set()


def test_any_answer_counts_as_reached():
    reached, item = threading.Event(), encode_item(0, {"text": "a"})
    with Container([GONE]) as container:
        transport = connect(container.url, None, 1)
        with pytest.raises(EndpointError, match="bad_request"):
            send(transport, [item], QUICK, threading.Event(), bulk=False, reached=reached)
    assert reached.is_set()


def test_a_url_without_a_scheme_is_refused_with_the_right_form():
    with pytest.raises(ValueError, match="write http://localhost:8200$"):
        Client("localhost:8200")
    with pytest.raises(ValueError, match="write http://localhost/invocations$"):
        Client("//localhost/invocations")


@pytest.mark.parametrize("url", ["http://a..b", "http://a b", "http://" + 64 * "a"])
def test_a_name_that_no_host_can_have_is_not_tried_again(url, caplog):
    with Client(url, patience=QUICK) as client, pytest.raises(EndpointError, match="parse") as it:
        list(client.embed_texts(TEXTS))
    assert not it.value.retryable
    assert not caplog.records


@pytest.mark.parametrize("body", ["", "[]", {"results": []}, {"dimension": 4, "results": [1]}])
def test_an_answer_of_somebody_else_is_said(body):
    with (
        ScriptedContainer((200, body)) as somebody,
        Client(somebody.url) as client,
        pytest.raises(EndpointError, match="bad_answer: not an answer of Sweetspot"),
    ):
        list(client.embed_texts(TEXTS))


@pytest.mark.parametrize("encoded", ["AAAA", "%%%%", 7, None, [0.1]])
def test_an_embedding_that_is_none_is_a_bad_answer(encoded):
    results = [{"index": 0, "embedding": encoded}]
    answer = {"dimension": 4, "fingerprint": "f", "results": results}
    with (
        ScriptedContainer((200, answer)) as somebody,
        Client(somebody.url) as client,
        pytest.raises(EndpointError, match="bad_answer"),
    ):
        list(client.embed_texts(["a"]))


def test_fingerprints_have_to_agree():
    with (
        Container(fingerprints=["f1", "f2"]) as container,
        Client(container.url, items=1) as it,
        pytest.raises(FingerprintChanged, match="f1, then of f2|f2, then of f1"),
    ):
        list(it.embed_texts(TEXTS))


def test_fingerprints_have_to_agree_over_calls():
    with Container(fingerprints=["f1", "f2"]) as container, Client(container.url) as client:
        list(client.embed_texts(["a"]))
        assert client.fingerprint == "f1"
        with pytest.raises(FingerprintChanged):
            list(client.embed_texts(["a"]))


def test_a_retry_that_is_due_waits_for_room_without_spinning():
    """The only place is taken until the loop has turned often, or a while went by."""
    turns, spinning = count(), threading.Event()

    def ask(items, bulk, leaving):
        if items[0].index == 0:
            return (Failed(0, None, "fetch_timeout", "", retryable=True),)
        spinning.wait(0.2)
        return embedded(items, bulk, leaving)

    def profile(frame, event, arg):
        if event == "call" and frame.f_code is wait.__code__ and next(turns) == 100:
            spinning.set()

    patience = Patience(items=2, first_s=0.02, most_s=0.02)
    items = ({"text": text} for text in "abc")
    walk = OrderedRequests(items, ask, Limits(1, 1000), 1, patience)
    sys.setprofile(profile)
    try:
        results = list(walk.results())
    finally:
        sys.setprofile(None)
    assert len(results) == 3
    assert not spinning.is_set()


@pytest.mark.parametrize(
    "error",
    [
        EndpointError("overloaded", "come again", retryable=True, retry_after_s=2.0),
        FingerprintChanged("f1", "f2"),
    ],
)
def test_an_error_crosses_to_another_process(error):
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_results_come_while_the_input_has_no_end():
    with Container() as container, Client(container.url, items=8) as client:
        results = client.embed_texts(f"t {number}" for number in count())
        assert [one.index for one in islice(results, 100)] == list(range(100))
        results.close()


def test_no_more_is_read_and_sent_than_the_window_holds():
    """The first item is asked again and again; everything behind it has to wait."""
    read = []

    def texts():
        yield "down 1"
        for number in count():
            read.append(number)
            yield f"t {number}"

    patience = Patience(items=5, first_s=0.05, most_s=0.05)
    with (
        Container() as container,
        Client(container.url, items=3, concurrency=2, patience=patience) as client,
    ):
        results = client.embed_texts(texts())
        assert next(results).code == "fetch_timeout"
        assert len(read) <= 4 * 2 * 3
        assert container.peak <= 2
        results.close()


@pytest.mark.parametrize("leave", ["for _ in results: pass", "results.close()"])
def test_a_program_that_ends_waits_for_no_answer(leave):
    """Once by Ctrl-C, once because it has what it wanted."""
    program = (
        "import sys, deploy.client\n"
        "client = deploy.client.Client(sys.argv[1], items=1, concurrency=2)\n"
        "results = client.embed_texts(['a', 'never answered'])\n"
        "print(next(results).index, flush=True)\n"
        f"{leave}\n"
    )
    with HalfSilent() as container:
        words = [sys.executable, "-c", program, container.url]
        with subprocess.Popen(words, cwd=ROOT, stdout=PIPE, stderr=PIPE) as running:
            assert running.stdout.readline() == b"0\n"
            if leave.startswith("for"):
                running.send_signal(signal.SIGINT)
            # Far below the 70 s for which an answer is waited.
            assert b"Error" not in running.communicate(timeout=50)[1]


def embedded(items, bulk, leaving):
    """An answer, as of a container."""
    return tuple(Embedded(one.index, one.id, embedding("a")) for one in items)


def test_large_items_are_not_read_ahead_of_what_requests_hold():
    """Three of them fill a body, and with a fourth the place for one request is taken."""
    read, behind = [], []

    def texts():
        for number in range(40):
            read.append(number)
            yield {"text": "x" * 300}

    def ask(items, bulk, leaving):
        behind.append(len(read) - items[0].index)
        return embedded(items, bulk, leaving)

    walk = OrderedRequests(texts(), ask, Limits(64, 1000), 1, QUICK)
    assert len(list(walk.results())) == 40
    assert max(behind) == 4


def test_whoever_leaves_is_tried_for_no_longer():
    """The walk says that it was left, and a request that was refused is then not sent again."""
    events = []

    def ask(items, bulk, leaving):
        events.append(leaving)
        return embedded(items, bulk, leaving)

    results = OrderedRequests(iter([{"text": "a"}] * 9), ask, Limits(1, 1000), 1, QUICK).results()
    next(results)
    assert not events[0].is_set()
    results.close()
    assert events[0].is_set()

    item = encode_item(0, {"text": "a"})
    with Container([OVERLOADED] * 9) as container, pytest.raises(EndpointError):
        send(connect(container.url, None, 1), [item], QUICK, events[0], bulk=False)
    assert len(container.bodies) == 1


def test_an_item_is_not_asked_again_when_no_time_is_left():
    patience = Patience(items=3, total_s=0, first_s=0.001)
    with Container() as container, Client(container.url, patience=patience) as client:
        (result,) = client.embed_texts(["down 1"])
    assert result.code == "fetch_timeout"
    assert container.asked == {"down 1": 1}


def test_nobody_is_asked_before_the_first_result_is_wanted():
    with Container() as container, Client(container.url) as client:
        client.embed_texts(TEXTS)
        assert container.bodies == []


def test_requests_are_in_flight_together():
    """The container answers none before three are there."""
    with (
        Container(meeting=3) as container,
        Client(container.url, items=1, concurrency=3) as client,
    ):
        assert len(list(client.embed_texts(["a", "b", "c"]))) == 3


def test_small_inputs_keep_their_lane_and_parts_of_large_ones_are_bulk():
    with Container() as container:
        embed(container, ["a query"])
        embed(container, TEXTS, items=3)
    lanes = [json.loads(body)["parameters"].get("lane") for body in container.bodies]
    assert lanes == [None, "bulk", "bulk", "bulk", "bulk"]


def test_an_item_of_a_small_input_that_is_asked_again_keeps_its_lane():
    with Container() as container:
        embed(container, ["a query", "flaky 1 time"])
    asked = [json.loads(body) for body in container.bodies]
    assert [len(one["inputs"]) for one in asked] == [2, 1]
    assert [one["parameters"].get("lane") for one in asked] == [None, None]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({}, "item 1 must have one of url, image, text"),
        ({"url": "a", "text": "b"}, "item 1 must have one of"),
        ({"url": "a", "name": "b"}, "item 1 must have one of"),
        ("https://a.example/", "item 1 must have one of"),
        (None, "item 1 must have one of"),
        ({"url": None}, "item 1: url cannot be NoneType"),
        ({"image": "text"}, "item 1: image cannot be str"),
        ({"text": "a", "id": 7}, "item 1: id must be Unicode text"),
        ({"text": "a", "id": "\ud800"}, "item 1: id must be Unicode text"),
    ],
)
def test_what_is_no_item_is_said_in_its_turn(item, said):
    with Container() as container, Client(container.url) as client:
        results = client.embed([{"text": "a"}, item, {"text": "b"}])
        assert next(results) == Embedded(0, None, embedding("a"))
        with pytest.raises(ValueError, match=said):
            next(results)


def test_an_input_that_breaks_off_raises_after_its_results():
    def texts():
        yield "a"
        raise OSError("the disk")

    with Container() as container, Client(container.url) as client:
        results = client.embed_texts(texts())
        assert next(results).index == 0
        with pytest.raises(OSError, match="the disk"):
            next(results)


def test_one_text_where_many_are_wanted_is_a_mistake():
    with Client("http://localhost:1") as client, pytest.raises(TypeError, match="not one str"):
        client.embed_texts("abc")


@pytest.mark.parametrize(
    ("endpoint", "options", "said"),
    [
        ("localhost:8080", {}, "write http://localhost:8080"),
        ("ftp://x", {}, "no URL of an endpoint"),
        ("http://x:port", {}, "Port could not be cast"),
        ("http://x", {"client": object()}, "goes with an endpoint's name"),
        ("http://x", {"items": 0}, "items must be from 1"),
        ("http://x", {"concurrency": 0}, "concurrency must be from 1"),
        ("http://x", {"max_body_bytes": 10}, "max_body_bytes must be from"),
        ("http://x", {"items": 1, "profile": "p"}, "not both"),
    ],
)
def test_wrong_arguments_are_said(endpoint, options, said):
    with pytest.raises(ValueError, match=said):
        Client(endpoint, **options)


def test_by_name_without_a_region_is_said_before_anything_is_sent(monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    said = "AWS cannot be asked: You must specify a region; set AWS_DEFAULT_REGION$"
    with pytest.raises(EndpointError, match=said) as raised:
        Client("designs")
    assert isinstance(raised.value, ValueError)  # as it was before
    assert raised.value.__suppress_context__


def test_by_name_through_boto3():
    with Container() as container:
        answers = ScriptedContainer(*scripted(container, OVERLOADED, (500, {"aws": [503, "X"]})))
        with answers, Client("designs", client=runtime(answers.url), patience=QUICK) as client:
            results = list(client.embed_texts(["a"]))
    assert results == [Embedded(0, None, embedding("a"))]
    assert {path for path, _, _ in answers.requests} == {"/endpoints/designs/invocations"}
    assert len(answers.requests) == 3


class HalfSilent(Container):
    """Answers until it is asked for `never answered`."""

    def answer(self, body):
        if b"never" in body:
            self._stopping.wait()
        return super().answer(body)

    def __init__(self):
        super().__init__()
        self._stopping = threading.Event()

    def __exit__(self, *_):
        self._stopping.set()
        super().__exit__()


class Silent:
    """A port that accepts and never answers."""

    def __enter__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        return self

    def __exit__(self, *_):
        self._socket.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"


def scripted(container, *refusals):
    """Refusals, then what the container says to the text `a`."""
    return *refusals, container.answer(b'{"inputs": [{"text": "a"}]}')


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (GONE, "bad_request"),
        ((400, {"aws": [400, "ValidationError"]}), "ValidationError"),
        ((403, {"aws": [403, "AccessDeniedException"]}), "AccessDeniedException"),
        ((403, {"aws": [403, "ExpiredTokenException"]}), "ExpiredTokenException"),
        ((500, {"error": {"code": "internal", "message": "", "retryable": False}}), "internal"),
    ],
)
def test_by_name_what_cannot_pass_is_sent_once(reply, code):
    with (
        ScriptedContainer(reply) as answers,
        Client("designs", client=runtime(answers.url), patience=QUICK) as client,
        pytest.raises(EndpointError) as caught,
    ):
        list(client.embed_texts(["a"]))
    assert caught.value.code == code
    assert len(answers.requests) == 1


class Endless(LocalServer):
    """Answers, and never stops."""

    def __init__(self):
        super().__init__(self.Handler)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(b" " * 65536)

        def log_message(self, *_):
            """Say nothing."""


@pytest.mark.parametrize("way", ["url", "name"])
@pytest.mark.parametrize(
    ("bound", "value", "code"),
    [("MAX_ANSWER_BYTES", 2**20, "bad_answer"), ("ANSWER_TIMEOUT_S", 0.0, "timeout")],
)
def test_an_answer_is_bounded_in_bytes_and_in_time(monkeypatch, way, bound, value, code):
    monkeypatch.setattr(transports, bound, value)
    with Endless() as server:
        where = {"url": (server.url, None), "name": ("designs", runtime(server.url))}[way]
        with (
            Client(where[0], client=where[1], patience=Patience(requests=1)) as client,
            pytest.raises(EndpointError) as caught,
        ):
            list(client.embed_texts(["a"]))
    assert caught.value.code == code
    del caught
    gc.collect()  # a connection that was left open warns, and a warning is an error


def test_by_name_an_answer_that_does_not_come_is_a_timeout():
    config = Config(retries={"total_max_attempts": 1}, read_timeout=0.05)
    with Silent() as silent:
        client = boto3.client("sagemaker-runtime", endpoint_url=silent.url, config=config)
        with (
            Client("designs", client=client, patience=Patience(requests=1)) as it,
            pytest.raises(EndpointError) as caught,
        ):
            list(it.embed_texts(["a"]))
    assert (caught.value.code, caught.value.retryable) == ("timeout", True)


@pytest.mark.parametrize(
    "reply", [None, OVERLOADED, (400, {"aws": [400, "ThrottlingException"]}), (502, {})]
)
def test_by_name_what_may_pass_is_sent_again(reply):
    with (
        ScriptedContainer(reply) as answers,
        Client("designs", client=runtime(answers.url), patience=QUICK) as client,
        pytest.raises(EndpointError),
    ):
        list(client.embed_texts(["a"]))
    assert len(answers.requests) == QUICK.requests


def test_by_name_an_endpoint_that_is_not_there_is_waited_for():
    with Container() as container:
        of_aws, sent = runtime(container.url), []
    of_aws.meta.events.register("before-send", lambda request, **_: sent.append(request))
    with (
        Client("designs", client=of_aws, patience=QUICK) as client,
        pytest.raises(EndpointError, match="nothing answers at designs: Could not connect"),
    ):
        list(client.embed_texts(["a"]))
    assert len(sent) == QUICK.requests


def test_a_profile_of_its_machine_says_how_many_items_a_request(tmp_path):
    path = tmp_path / "sweetspot.json"
    tower = {"batch_size": 24, "rule": "knee", "a_ms": 1, "b_ms": 1}
    tower["points"] = [{"n": 1, "p50_ms": 1, "p95_ms": 1}]
    match = dict.fromkeys(["cpu", "device", "checkpoint", "backend", "precision"], "x")
    threads = {"encoder": 1, "streams": 2, "decode": 1, "io": 1}
    one = {"match": match | {"cores": 2}, "threads": threads, "image": tower, "text": tower}
    one |= {"versions": {}, "preprocess": "display"}
    path.write_text(json.dumps({"version": 1, "profiles": [one]}))
    with Container() as container, Client(container.url, profile=path, concurrency=1) as client:
        list(client.embed_texts(f"t {number}" for number in range(200)))
    assert [len(json.loads(body)["inputs"]) for body in container.bodies] == [96, 96, 8]


def test_the_bar_changes_no_result():
    with Container() as container, Client(container.url) as client:
        with_bar = list(client.embed_texts([*TEXTS, "dead 1"], progress=True))
        assert with_bar == list(client.embed_texts([*TEXTS, "dead 1"]))
    assert isinstance(with_bar[-1], Failed)


def test_the_client_needs_neither_torch_nor_flask_nor_numpy():
    program = (
        "import sys, deploy.client\n"
        "heavy = {'torch', 'flask', 'numpy', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
