"""Start, stop, slow clients, broken checkpoints: the process as an operator meets it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import requests

from inference.loadtest.thumbnail_server import ThumbnailServer
from tests.e2e.service import ROOT, command, started
from tests.e2e.test_streaming import HeldServer
from tests.ports import free_port

# No fetch of an image that a server holds back ends by its time limit.
PATIENT = ("--fetch-timeout-ms", "60000")
BODY = b'{"text": "a"}'
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


def run(*arguments, **options):
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=600, **options
    )


def test_connections_are_accepted_while_the_model_loads(tmp_path):
    """The door is open before the model is there, and says so."""
    may_load = tmp_path / "may-load"
    flags = ("--backend", "fake", "--may-load", str(may_load))
    with started(tmp_path, *flags, program=("tests.browser.late",), ready=False) as service:
        assert first_ping(service).status_code == 503
        response = service.invoke({"text": "a"})
        assert response.status_code == 503
        error = response.json()["error"]
        assert (error["code"], error["retryable"]) == ("not_ready", True)
        assert error["retry_after_ms"] > 0
        assert response.headers["Retry-After"]
        may_load.touch()
        service.wait_until_ready()


def first_ping(service):
    """The answer to the first ping that finds the door open."""
    while True:
        try:
            return service.ping()
        except requests.ConnectionError:
            assert service.process.poll() is None
            time.sleep(0.01)


def test_idle_and_half_sent_connections_hold_up_nobody(service):
    """More of them than there are threads; a ping and an invocation still find one."""
    opened = []
    try:
        for number in range(120):
            connection = service.connect()
            opened.append(connection)
            if number % 3 == 1:
                connection.sendall(HEAD % 500 + b'{"text"')
            elif number % 3 == 2:
                connection.sendall(b"POST /invoc")
        assert service.ping().status_code == 200
        assert service.invoke({"text": "a"}).status_code == 200
    finally:
        for connection in opened:
            connection.close()


@pytest.mark.parametrize(
    "begun",
    [
        HEAD % 1_000_000 + b'{"text"',
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        HEAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n") % 500,
    ],
    ids=["large", "chunked", "expecting"],
)
def test_half_sent_bodies_that_a_thread_reads_take_no_place_from_others(service, begun):
    """More of them than there are places; some are refused, and all others find theirs."""
    opened = [service.connect() for _ in range(120)]
    try:
        for connection in opened:
            connection.sendall(begun)
        # The service has seen them all: it answers the last ones, most of them at once.
        assert any(b"HTTP/1.1 503 " in answer_begun(connection) for connection in opened[100:])
        with ThreadPoolExecutor(8) as pool:
            texts = {"texts": ["a"] * 20, "parameters": {"lane": "bulk"}}
            answers = list(pool.map(lambda _: invoke(service, texts), range(40)))
        assert {one.status_code for one in answers} == {200}
        assert service.ping().status_code == 200
    finally:
        for connection in opened:
            connection.close()


def answer_begun(connection):
    """The beginning of an answer, also behind the leave to go on."""
    received = b""
    while not received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n"):
        received += connection.recv(65536)
    return received


def invoke(service, body):
    return requests.post(service.url("/invocations"), json=body, timeout=30)


PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n"
UNFRIENDLY = {
    "the beginning of a next request": PING + b"\r\nG",
    "headers without an end": PING + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 8000) for n in range(9)),
    "an answer that is not read to its end": PING + b"Connection: close\r\n\r\n",
    "a body that nobody reads": b"POST /ping HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n",
}


@pytest.mark.parametrize("sent", UNFRIENDLY.values(), ids=UNFRIENDLY.keys())
def test_unfriendly_connections_hold_up_nobody(service, sent):
    """As many as there are threads and more; each stays open on the client's side."""
    opened = [service.connect() for _ in range(100)]
    try:
        for connection in opened:
            connection.sendall(sent)
        # Every one of them was answered: the service has seen them all.
        for connection in opened:
            assert connection.recv(65536).startswith(b"HTTP/1.1 ")
        assert service.ping().status_code == 200
        assert service.invoke({"text": "a"}).status_code == 200
    finally:
        for connection in opened:
            connection.close()


def test_endless_headers_are_refused(service):
    with service.connect() as connection:
        connection.sendall(UNFRIENDLY["headers without an end"])
        assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")


def test_a_large_body_that_drips_is_given_up(tmp_path):
    """Each byte comes in time; all of them would take days."""
    with (
        started(tmp_path, "--backend", "fake", "--body-timeout-ms", "300") as service,
        service.connect() as connection,
    ):
        connection.sendall(HEAD % 1_000_000)
        connection.settimeout(0.05)
        answer = b""
        for _ in range(200):
            connection.sendall(b" ")
            with suppress(TimeoutError):
                answer = connection.recv(65536)
                break
        assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("head", "body", "says"),
    [
        (HEAD % 100_000_000, b"", b"Connection: close"),
        (HEAD.replace(b"/invocations", b"/nowhere") % len(BODY), BODY, b"Connection: keep-alive"),
    ],
    ids=["one to come", "a small one"],
)
def test_an_answer_says_whether_a_body_that_nobody_read_ends_the_connection(
    service, head, body, says
):
    with service.connect() as connection:
        connection.sendall(head + body)
        assert says in connection.recv(65536)


@pytest.mark.parametrize("rest", [b"ZZ\r\n", b"5\r\nab"], ids=["a bad size", "cut off"])
def test_a_broken_chunked_body_is_a_bad_request(service, rest):
    with service.connect() as connection:
        head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head + rest)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_a_large_body_that_stops_coming_is_given_up(tmp_path):
    with started(tmp_path, "--backend", "fake", "--body-timeout-ms", "300") as service:
        with service.connect() as connection:
            connection.sendall(HEAD % 1_000_000 + b'{"text"')
            answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert service.invoke({"text": "a"}).status_code == 200


def test_requests_in_pieces_and_several_on_one_connection(service):
    with service.connect() as connection:
        for _ in range(2):
            for byte in HEAD % len(BODY) + BODY:
                connection.sendall(bytes([byte]))
            assert receive_answers(connection, 1).startswith(b"HTTP/1.1 200 ")


def receive_answers(connection, count):
    """Read until `count` answers of JSON are whole."""
    received = b""
    while received.count(b"HTTP/1.1 200 ") < count or not received.endswith(b"}"):
        data = connection.recv(65536)
        assert data, received
        received += data
    return received


def test_pipelined_requests_are_answered_in_turn(service):
    with service.connect() as connection:
        connection.sendall((HEAD % len(BODY) + BODY) * 2)
        receive_answers(connection, 2)


def test_nonsense_is_refused_and_the_service_lives(service):
    for nonsense in (b"\x16\x03\x01\x02\x00" * 20 + b"\r\n\r\n", b"GET\r\n\r\n", b"x" * 100_000):
        with service.connect() as connection:
            connection.sendall(nonsense)
            connection.settimeout(15)
            with suppress(ConnectionResetError):
                assert b" 200 " not in connection.recv(65536)[:20]
    assert service.ping().status_code == 200


def test_more_requests_than_admitted_are_refused_at_once(tmp_path, way):
    with (
        HeldServer() as server,
        started(tmp_path, "--backend", "fake", "--max-requests", "2", *PATIENT, *way) as service,
        ThreadPoolExecutor(2) as pool,
    ):
        held = [pool.submit(bulk_call, service, server.url("/held")) for _ in range(2)]
        wait_for(lambda: server.requests == 2)
        refused = bulk_call(service, server.url("/held"))
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "overloaded"
        assert refused.json()["error"]["retry_after_ms"] > 0
        # A query finds a place that bulk requests may not take.
        assert service.invoke({"text": "a"}).status_code == 200
        assert service.ping().status_code == 200
        server.allowed.set()
        assert [one.result().status_code for one in held] == [200, 200]


def bulk_call(service, url):
    body = {"url": url, "parameters": {"lane": "bulk"}}
    return requests.post(service.url("/invocations"), json=body, timeout=60)


def service_call(service, url):
    return requests.post(service.url("/invocations"), json={"url": url}, timeout=60)


def wait_for(condition):
    limit_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit_s
        time.sleep(0.01)


def test_sigterm_answers_what_was_accepted_and_ends_with_0(tmp_path, way):
    with (
        HeldServer() as server,
        started(tmp_path, "--backend", "fake", *PATIENT, *way) as service,
        ThreadPoolExecutor(4) as pool,
    ):
        kept = requests.Session()
        assert kept.get(service.url("/ping"), timeout=10).status_code == 200
        held = [pool.submit(service_call, service, server.url("/held")) for _ in range(4)]
        wait_for(lambda: server.requests == 4)
        service.process.send_signal(signal.SIGTERM)
        # Until the service has seen the signal, it answers.
        late = kept.post(service.url("/invocations"), BODY, timeout=60)
        while late.status_code == 200:
            late = kept.post(service.url("/invocations"), BODY, timeout=60)
        assert late.status_code == 503
        assert late.json()["error"]["code"] == "not_ready"
        server.allowed.set()
        for one in held:
            assert one.result().status_code == 200
            assert "embedding" in one.result().json()["results"][0]
        assert service.process.wait(25) == 0


def test_sigterm_does_not_wait_for_a_fetch_that_nobody_waits_for(tmp_path, way):
    """The deadline of the request is over; the image's server takes 60 s more."""
    with (
        ThumbnailServer(latency_s=60.0) as slow,
        started(tmp_path, "--backend", "fake", "--fetch-timeout-ms", "60000", *way) as service,
    ):
        body = {"url": slow.url("/1.jpg"), "parameters": {"deadline_ms": 200}}
        error = service.invoke(body).json()["results"][0]["error"]
        assert error["code"] == "deadline_exceeded"
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(25) == 0


def test_a_client_that_left_leaves_no_work_behind(tmp_path, way):
    """Its 400 thumbnails take a second each; only the first few are ever asked for."""
    with (
        ThumbnailServer(latency_s=1.0) as slow,
        started(tmp_path, "--backend", "fake", "--io-threads", "2", *way) as service,
    ):
        body = json.dumps({"urls": slow.thumbnails(400)}).encode()
        with service.connect() as connection:
            connection.sendall(HEAD % len(body) + body)
            wait_for(lambda: slow.requests >= 2)
        assert service.invoke({"url": slow.url("/500.jpg")}).status_code == 200
        assert slow.requests < 10


def test_a_broken_checkpoint_stops_the_start_in_one_sentence(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    result = run("serve", "--model", str(tmp_path), "--port", str(free_port()))
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "describes a model of type 'bert'; served are" in result.stderr


def test_a_load_that_fails_later_stops_the_service_with_a_code(tmp_path):
    """A hub id is only looked up after the door is open; the hub is out of reach here."""
    environ = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    result = run("serve", "--model", "owner/name", "--port", str(free_port()), env=environ)
    assert result.returncode == 3
    assert "owner/name: no such folder, not in the cache" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_malformed_setting_stops_the_start_in_one_line():
    environ = os.environ | {"SWEETSPOT_BATCH_SIZE": "abc"}
    result = run("serve", env=environ)
    assert result.returncode == 1
    assert result.stderr == (
        "Error: SWEETSPOT_BATCH_SIZE=abc: must be auto, or a whole number from 1 to 4096\n"
    )


def test_a_port_in_use_is_said_in_one_line(service):
    result = run("serve", "--backend", "fake", "--port", str(service.port))
    assert result.returncode == 1
    assert (
        f"cannot listen on 0.0.0.0:{service.port}: Address already in use; --port" in result.stderr
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"], ["serve", "--help"], ["settings", "--help"],
        ["benchmark", "endpoint", "--help"], ["benchmark", "pipeline", "--help"],
    ],
)  # fmt: skip
def test_help_loads_neither_torch_nor_flask(arguments):
    program = (
        "import sys, sweetspot\n"
        f"try: sweetspot.main({arguments!r})\n"
        "except SystemExit as exc: assert not exc.code\n"
        "heavy = {'torch', 'flask', 'transformers', 'numpy', 'PIL', 'boto3', 'requests'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)


def test_many_clients_at_once_each_get_their_own(service):
    """32 clients, 20 requests each: every text's embedding is that text's."""
    import numpy as np

    from model.backends.fake import FakeEncoder

    wrong = []

    def client(number):
        session = requests.Session()
        for turn in range(20):
            texts = [f"client {number} turn {turn} text {n}" for n in range(1 + turn % 4)]
            response = session.post(service.url("/invocations"), json={"texts": texts}, timeout=60)
            vectors = np.float32([one["embedding"] for one in response.json()["results"]])
            if not np.array_equal(vectors, FakeEncoder().encode_texts(texts)[0]):
                wrong.append(texts)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not wrong
