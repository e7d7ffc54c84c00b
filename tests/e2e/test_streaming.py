"""Answers that leave as they come, over real sockets."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import requests

from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from model.backends.fake import FakeEncoder
from tests.e2e.service import started
from tests.images import png

JSON_LINES = "application/jsonlines"


class HeldServer(ThumbnailServer):
    """`/held` is answered once somebody allows it."""

    def __init__(self):
        super().__init__({"/held": Reply(png())})
        self.allowed = threading.Event()

    def _find(self, path):
        if path == "/held":
            self.allowed.wait(60)
        return super()._find(path)


def streamed(service, body, **options):
    body = body | {"parameters": {"stream": True} | body.get("parameters", {})}
    options = {"headers": {"Accept": JSON_LINES}} | options
    return service.invoke(body, stream=True, **options)


def test_the_first_of_1000_results_comes_before_the_last_item_is_fetched(service):
    texts = [f"text {number}" for number in range(999)]
    with HeldServer() as server:
        inputs = [*({"text": text} for text in texts), {"url": server.url("/held"), "id": "last"}]
        response = streamed(service, {"inputs": inputs})
        lines = response.iter_lines(chunk_size=None)
        first = json.loads(next(lines))
        assert not server.allowed.is_set()
        server.allowed.set()
        results = [first, *(json.loads(line) for line in lines)]
        last = results.pop()
    assert response.headers["Transfer-Encoding"] == "chunked"
    assert response.headers["Content-Type"] == JSON_LINES
    assert last["summary"]["items"] == 1000
    assert last["summary"]["failures"] == 0
    assert sorted(one["index"] for one in results) == list(range(1000))
    expected = FakeEncoder().encode_texts(texts)[0]
    for one in results:
        if one["index"] == 999:
            assert one["id"] == "last"
        else:
            np.testing.assert_array_equal(np.float32(one["embedding"]), expected[one["index"]])


@pytest.mark.parametrize(
    "name", ["application/jsonl", "application/x-ndjson", "application/x-jsonlines"]
)
def test_lines_of_json_are_asked_for_and_streamed_by_another_name(service, name):
    headers = {"Content-Type": name, "Accept": name}
    body = b'{"text": "a"}\n\n{"text": "b"}\n'
    answers = []
    for attributes in ("stream=true", ""):
        asked = headers | {"X-Amzn-SageMaker-Custom-Attributes": attributes}
        answer = service.session.post(
            service.url("/invocations"), data=body, headers=asked, timeout=30
        )
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, name)
        answers.append([json.loads(line) for line in answer.text.splitlines()])
    *streamed_lines, last = answers[0]
    assert last["summary"]["items"] == 3
    assert last["summary"]["failures"] == 1
    assert sorted(streamed_lines, key=lambda one: one["index"]) == answers[1]


def test_a_whole_answer_is_never_chunked_and_its_headers_are_short(service):
    """Asynchronous endpoints fail without Content-Length, or with headers over 4,096 bytes."""
    for accept in ("application/json", JSON_LINES, "text/csv", "application/x-npy"):
        response = service.invoke({"texts": ["a"] * 500}, headers={"Accept": accept})
        assert response.headers["Content-Type"] == accept
        assert int(response.headers["Content-Length"]) == len(response.content)
        assert "Transfer-Encoding" not in response.headers
        assert sum(len(name) + len(value) + 4 for name, value in response.headers.items()) < 4096


def test_a_stream_may_be_asked_for_by_an_attribute(service):
    headers = {"X-Amzn-SageMaker-Custom-Attributes": "stream=true"}
    response = service.invoke({"texts": ["a", "b"]}, headers=headers)
    *_, last = response.text.splitlines()
    assert json.loads(last)["summary"]["items"] == 2
    assert "fingerprint=" in response.headers["X-Amzn-SageMaker-Custom-Attributes"]


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
def test_only_lines_of_json_are_streamed(service, accept):
    response = streamed(service, {"text": "a"}, headers={"Accept": accept})
    assert response.status_code == 400
    assert "a stream is application/jsonlines" in response.json()["error"]["message"]


def test_a_client_that_leaves_a_stream_stops_its_work(tmp_path, way):
    with (
        ThumbnailServer(latency_s=0.5) as slow,
        started(tmp_path, "--backend", "fake", "--io-threads", "2", *way) as service,
    ):
        response = streamed(service, {"inputs": [{"text": "a"}, *urls(slow, 300)]})
        assert b"embedding" in next(response.iter_lines(chunk_size=None))
        response.close()
        service.session.close()
        # Its permits and its place come back; the next finds nothing in its way.
        assert service.invoke({"url": slow.url("/900.jpg")}).status_code == 200
        limit_s = time.monotonic() + 30
        while "the client left" not in service.log.read_text():
            assert time.monotonic() < limit_s
            time.sleep(0.05)
        assert slow.requests < 20
        assert "Traceback" not in service.log.read_text()


def urls(server, count):
    return [{"url": url} for url in server.thumbnails(count)]


def test_a_stream_that_finds_no_place_is_refused_before_its_first_byte(tmp_path, way):
    arguments = ("--backend", "fake", "--max-requests", "1", *way)
    with HeldServer() as server, started(tmp_path, *arguments) as service:
        inputs = [{"text": "a"}, {"url": server.url("/held")}]
        body = {"inputs": inputs, "parameters": {"lane": "bulk"}}
        held = streamed(service, body)
        refused = streamed(service, body)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "overloaded"
        server.allowed.set()
        assert len(held.text.splitlines()) == 3
        assert streamed(service, {"text": "a"}).status_code == 200


def peak_kib(service):
    """The most memory that the worker has had."""
    master = service.process.pid
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    status = Path(f"/proc/{children[0]}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def test_ten_times_the_items_need_little_more_memory(tmp_path):
    """50,000 against 5,000: what is left is the request itself, and no results."""
    with started(tmp_path, "--backend", "fake") as service:
        peaks = []
        for count in (5_000, 50_000):
            body = "".join(f'{{"text": "text {number}"}}\n' for number in range(count))
            headers = {
                "Content-Type": JSON_LINES,
                "Accept": JSON_LINES,
                "X-Amzn-SageMaker-Custom-Attributes": "stream=true;lane=bulk",
            }
            response = requests.post(
                service.url("/invocations"), body, headers=headers, stream=True, timeout=60
            )
            assert sum(1 for _ in response.iter_lines()) == count + 1
            peaks.append(peak_kib(service))
    # The items of 45,000 more lines, each a string and its place, take 40 to 45 MiB. Their results
    # would take as much again.
    assert peaks[1] - peaks[0] < 60_000
