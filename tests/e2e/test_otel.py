"""OpenTelemetry: what a collector is sent of requests, their stages and batches."""

import base64
import time
from itertools import pairwise

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from inference.loadtest.thumbnail_server import Reply
from tests.e2e.collector import SERVER, Collector, Trace, attributes, context
from tests.e2e.service import started, without_proxies
from tests.images import png
from tests.servers import GatedServer

LATENCY_S = 0.05
CALLER = "00f067aa0ba902b7"
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
STAGES = ("fetch", "decode", "queue", "encode", "answer")


class SlowServer(GatedServer):
    """Takes a while for a picture, and has no `/secret-gone`."""

    def _find(self, path):
        time.sleep(LATENCY_S)
        return Reply(status=404) if path.startswith("/secret-gone") else super()._find(path)


def parent(trace, flags="01"):
    return f"00-{trace:032x}-{CALLER}-{flags}"


def traced(trace, flags="01", **more):
    return {"headers": {"traceparent": parent(trace, flags)} | more}


class Sent:
    """What the collector got, and what the service answered and logged."""

    def __init__(self, collector, log):
        self.collector, self.log = collector, log
        self.spans = collector.spans
        self.requests = [span for span in self.spans if span.kind == SERVER]
        self.batches = [span for span in self.spans if span.name == "encode batch"]

    def trace(self, number):
        wanted = number.to_bytes(16, "big")
        return Trace([span for span in self.spans if span.trace_id == wanted])


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """All spans of a service that has answered, refused and lost requests, and has stopped."""
    folder = tmp_path_factory.mktemp("otel")
    sizes = ("--batch-size", "2", "--text-batch-size", "32")
    arguments = ("--backend", "fake", "--otel", "--preprocess-processes", "1", *sizes)
    with Collector() as collector, SlowServer() as images:
        env = without_proxies() | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_SERVICE_NAME": "designs",
            "OTEL_BSP_SCHEDULE_DELAY": "600000",  # so that all is sent at the end
        }
        with started(folder, *arguments, env=env) as service:
            ask(service, images)
        assert service.process.returncode == 0
        return Sent(collector, service.log.read_text())


def ask(service, images):
    secret = [f"/secret-{name}.png?token=hidden" for name in ("a", "b", "gone", "gone-too")]
    inputs = [{"url": images.url(path), "id": f"my-id-{path}"} for path in secret]
    picture = base64.b64encode(png(seed=1)).decode()
    inputs += [{"text": "secret query"}, {"text": " "}, {"image": picture}]
    assert service.invoke({"inputs": inputs}, **traced(1)).status_code == 200
    in_attributes = {ATTRIBUTES: f"lane=bulk; traceparent={parent(2)}"}
    assert service.invoke({"texts": ["b", "c", "d"]}, **traced(99, **in_attributes)).ok
    malformed = {ATTRIBUTES: "traceparent=00-hush", "tracestate": "hush", "baggage": "=hush;"}
    assert service.invoke({"text": "e"}, **traced(3, **malformed)).ok
    assert service.invoke({"texts": ["f"] * 4}, headers={"traceparent": "00-secret-01"}).ok
    assert service.invoke({"texts": ["g", "h"]}, **traced(4, "00")).ok
    assert service.invoke({"texts": ["b", "c"]}, **traced(5)).ok  # from the cache
    assert service.invoke({"url": images.url("/secret-c.png")}, **traced(10)).ok
    assert service.invoke({"secret": 1}, **traced(6)).status_code == 400
    assert service.invoke({"text": "a"}, **traced(7, Accept="secret/type")).status_code == 406
    streams = {"parameters": {"stream": True, "lane": "bulk"}}
    texts = [f"text {number}" for number in range(300)]
    accept = {"Accept": "application/jsonlines"}
    assert service.invoke({"texts": texts} | streams, **traced(8, **accept)).text
    leave_a_stream(service, images, streams, **traced(9, **accept))
    assert service.ping().ok
    assert service.session.get(service.url("/metrics"), timeout=10).ok


def leave_a_stream(service, images, streams, **options):
    inputs = [{"text": "at once"}, {"url": images.url("/gate")}]
    response = service.invoke({"inputs": inputs} | streams, stream=True, **options)
    next(response.iter_lines(chunk_size=None))
    response.close()
    limit_s = time.monotonic() + 60
    while "the client left" not in service.log.read_text():
        assert time.monotonic() < limit_s
        time.sleep(0.02)
    images.gate.set()


def test_a_request_has_a_child_for_each_stage_within_its_own_time(sent):
    trace = sent.trace(1)
    assert trace.children.keys() == set(STAGES)
    for child in trace.children.values():
        begins, ends = trace.request.start_time_unix_nano, trace.request.end_time_unix_nano
        assert begins <= child.start_time_unix_nano <= child.end_time_unix_nano <= ends
    assert trace.children["answer"].end_time_unix_nano == trace.request.end_time_unix_nano


def test_the_stages_of_one_image_follow_each_other(sent):
    """Two of them are timed in another process."""
    stages = [sent.trace(10).children[stage] for stage in STAGES]
    for before, after in pairwise(stages):
        assert before.end_time_unix_nano <= after.start_time_unix_nano
    assert stages[0].end_time_unix_nano - stages[0].start_time_unix_nano >= LATENCY_S * 1e9


def test_a_request_says_what_came_of_it(sent):
    trace = sent.trace(1)
    assert trace.request.name == "POST /invocations"
    assert trace.attributes == {
        "http.request.method": "POST",
        "http.route": "/invocations",
        "http.response.status_code": 200,
        "sweetspot.lane": "bulk",
        "sweetspot.model": "fake",
        "sweetspot.items": 7,
        "sweetspot.failures": 3,
        "sweetspot.failure.fetch_http_status": 2,
        "sweetspot.failure.text_invalid": 1,
    }
    assert trace.request.status.code == Status.STATUS_CODE_UNSET
    assert all(one["service.name"] == "designs" for one in sent.collector.resources)


def test_the_caller_is_the_parent_by_attribute_before_header(sent):
    for number in (1, 2, 3):  # by header, by attribute, by header since the attribute is malformed
        assert sent.trace(number).request.parent_span_id.hex() == CALLER
    assert (99).to_bytes(16, "big") not in {span.trace_id for span in sent.spans}


def test_a_malformed_parent_is_none(sent):
    (span,) = [span for span in sent.requests if not span.parent_span_id]
    assert attributes(span)["sweetspot.items"] == 4


def test_nothing_is_sent_of_what_the_caller_does_not_sample(sent):
    assert (4).to_bytes(16, "big") not in {span.trace_id for span in sent.spans}
    batches = [attributes(one) for one in sent.batches]
    texts = [one for one in batches if one["sweetspot.tower"] == "text"]
    sizes = [one["sweetspot.items"] for one in texts if one["sweetspot.lane"] == "interactive"]
    assert sizes == [1, 1]  # of e and f; that of g and h is not sent


def test_a_batch_is_linked_with_its_requests_and_they_with_it(sent):
    requests = {context(span): span.trace_id for span in sent.requests}
    encodes = {span.trace_id: span for span in sent.spans if span.name == "encode"}
    batches = {context(span) for span in sent.batches}
    there = {(requests[context(link)], context(batch))
             for batch in sent.batches for link in batch.links}  # fmt: skip
    back = {(trace_id, context(link)) for trace_id, span in encodes.items() for link in span.links}
    assert {batch for _, batch in back} == batches
    assert len(sent.trace(8).children["encode"].links) > 1
    assert there == back


def test_a_batch_says_what_it_ran(sent):
    assert all(not batch.parent_span_id for batch in sent.batches)
    first = sent.trace(1)
    own = [batch for batch in sent.batches if context(first.request) in map(context, batch.links)]
    towers = [(attributes(batch)["sweetspot.tower"], attributes(batch)["sweetspot.items"])
              for batch in own]  # fmt: skip
    assert sum(items for tower, items in towers if tower == "image") == 3
    assert [items for tower, items in towers if tower == "text"] == [1]
    assert attributes(first.children["encode"])["sweetspot.batches"] == len(own)
    assert attributes(own[0])["sweetspot.model"] == "fake"


def test_texts_from_the_cache_pass_no_stage(sent):
    assert sent.trace(5).children.keys() == {"answer"}


@pytest.mark.parametrize(
    ("number", "status", "code"), [(6, 400, "bad_request"), (7, 406, "not_acceptable")]
)
def test_a_refusal_has_its_code(sent, number, status, code):
    trace = sent.trace(number)
    assert trace.attributes["http.response.status_code"] == status
    assert trace.attributes["error.type"] == code
    assert trace.request.status.code == Status.STATUS_CODE_UNSET  # it is the client's error
    assert not trace.children


def test_a_streamed_answer_begins_before_the_last_batch_and_ends_the_request(sent):
    trace = sent.trace(8)
    answer, encode = trace.children["answer"], trace.children["encode"]
    assert answer.start_time_unix_nano < encode.end_time_unix_nano
    assert answer.end_time_unix_nano == trace.request.end_time_unix_nano
    assert trace.attributes["sweetspot.items"] == 300


def test_a_client_that_leaves_is_an_error_of_the_request(sent):
    trace = sent.trace(9)
    assert trace.attributes["error.type"] == "client_left"
    assert trace.request.status.code == Status.STATUS_CODE_ERROR


def test_only_requests_for_embeddings_are_traced(sent):
    assert {span.name for span in sent.requests} == {"POST /invocations"}
    assert len(sent.requests) == 10


def test_no_url_no_text_and_no_id_is_sent(sent):
    everything = b"".join(sent.collector.bodies)
    for secret in (b"secret", b"hidden", b"127.0.0.1", b"my-id", b"text 1", b"at once"):
        assert secret not in everything
    assert "Traceback" not in sent.log
    assert "hush" not in sent.log


def test_a_malformed_variable_stops_the_start_with_a_sentence(tmp_path):
    env = without_proxies() | {"OTEL_BSP_MAX_QUEUE_SIZE": "0"}
    with started(tmp_path, "--backend", "fake", "--otel", env=env, ready=False) as service:
        assert service.process.wait(30) == 3
    assert "cannot start: OpenTelemetry: max_queue_size must be" in service.log.read_text()
