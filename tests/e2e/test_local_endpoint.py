"""boto3's own client of SageMaker's runtime, unmodified, against `serve --local-endpoint`."""

import io
import json
import os
import re
import threading
import time

import boto3
import numpy as np
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from moto.server import ThreadedMotoServer

from deploy.client.async_transport import AsyncTransport
from deploy.client.retrying import Patience, ask
from model.backends.fake import FakeEncoder
from serve.wire.client_side import EndpointError, encode_item
from tests.e2e.service import ROOT, started, without_proxies
from tests.e2e.test_streaming import HeldServer
from tests.images import png

TEXTS = [f"text {number}" for number in range(40)]
ENDPOINT = {"EndpointName": "designs"}


@pytest.fixture(scope="module")
def s3_url():
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(scope="module")
def s3(s3_url):
    client = boto3.client("s3", endpoint_url=s3_url)
    client.create_bucket(Bucket="jobs")
    return client


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory, s3_url):
    environ = without_proxies() | {"AWS_ENDPOINT_URL_S3": s3_url}
    folder = tmp_path_factory.mktemp("endpoint")
    with started(folder, "--backend", "fake", "--local-endpoint", env=environ) as service:
        yield service


@pytest.fixture(scope="module")
def runtime(endpoint):
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{endpoint.port}",
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_the_snippet_of_the_page_needs_neither_region_nor_credentials(endpoint, monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    page = (ROOT / "docs" / "sagemaker.md").read_text()
    (snippet,) = re.findall(r"```python\n(import boto3\n[^`]*localhost:8080[^`]*)```", page)
    names = {}
    exec(snippet.replace("localhost:8080", f"127.0.0.1:{endpoint.port}"), names)
    answer = names["runtime"].invoke_endpoint(**ENDPOINT, Body=b'{"text": "a"}')
    assert answer["ContentType"] == "application/json"


def vectors(results):
    return np.float32([one["embedding"] for one in results])


def test_invoke_endpoint(runtime):
    answer = runtime.invoke_endpoint(
        **ENDPOINT, ContentType="application/json", Body=json.dumps({"texts": TEXTS})
    )
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert "fingerprint=" in answer["CustomAttributes"]
    body = json.loads(answer["Body"].read())
    np.testing.assert_array_equal(vectors(body["results"]), FakeEncoder().encode_texts(TEXTS)[0])


def test_neither_content_type_nor_accept_is_needed(runtime):
    answer = runtime.invoke_endpoint(**ENDPOINT, Body=b'{"text": "a"}')
    assert "embedding" in json.loads(answer["Body"].read())["results"][0]


def test_bytes_come_back_as_the_container_sent_them(runtime):
    answer = runtime.invoke_endpoint(
        **ENDPOINT, ContentType="image/png", Accept="application/x-npy", Body=png()
    )
    assert answer["ContentType"] == "application/x-npy"
    assert np.load(io.BytesIO(answer["Body"].read())).shape == (1, 16)


def test_an_error_of_the_container_is_a_model_error(runtime):
    with pytest.raises(runtime.exceptions.ModelError) as caught:
        runtime.invoke_endpoint(**ENDPOINT, ContentType="application/json", Body=b"{")
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["OriginalStatusCode"] == 400
    assert json.loads(answer["OriginalMessage"])["error"]["code"] == "bad_request"
    assert answer["LogStreamArn"].startswith("arn:aws:logs:")
    assert 'Received client error (400) from primary with message "' in answer["Error"]["Message"]


def test_parts_arrive_while_later_ones_are_awaited(runtime):
    """The last image is served only once the first part is here."""
    with HeldServer() as server:
        inputs = [*({"text": text} for text in TEXTS), {"url": server.url("/held")}]
        answer = runtime.invoke_endpoint_with_response_stream(
            **ENDPOINT,
            ContentType="application/json",
            Accept="application/jsonlines",
            Body=json.dumps({"inputs": inputs, "parameters": {"stream": True}}),
        )
        assert answer["ContentType"] == "application/jsonlines"
        parts = (event["PayloadPart"]["Bytes"] for event in answer["Body"])
        received = next(parts)
        assert not server.allowed.is_set()
        server.allowed.set()
        received += b"".join(parts)
    results = [json.loads(line) for line in received.splitlines()]
    assert results.pop()["summary"]["items"] == len(inputs)
    assert sorted(one["index"] for one in results) == list(range(len(inputs)))


def test_a_whole_answer_is_one_part_of_a_stream(runtime):
    answer = runtime.invoke_endpoint_with_response_stream(**ENDPOINT, Body=b'{"text": "a"}')
    (event,) = answer["Body"]
    assert "embedding" in json.loads(event["PayloadPart"]["Bytes"])["results"][0]


def test_a_stream_that_is_refused_is_a_model_error(runtime):
    with pytest.raises(runtime.exceptions.ModelError) as caught:
        runtime.invoke_endpoint_with_response_stream(**ENDPOINT, Body=b'{"x": 1}')
    assert caught.value.response["OriginalStatusCode"] == 400


def test_a_stream_that_breaks_off_is_an_error_of_boto3():
    """A container's answer that fails in its middle, framed, and read by botocore's own parser."""
    from botocore.eventstream import EventStream
    from werkzeug.wrappers import Response

    from serve.local_endpoint.routes import _frames

    def breaking():
        yield b"first"
        raise RuntimeError("the device is lost")

    class Raw:
        def stream(self):
            yield from _frames(Response(breaking()))

    model = boto3.client("sagemaker-runtime").meta.service_model
    shape = model.operation_model("InvokeEndpointWithResponseStream").output_shape.members["Body"]
    from botocore.parsers import EventStreamJSONParser

    events = iter(EventStream(Raw(), shape, EventStreamJSONParser(), "InvokeEndpoint"))
    assert next(events)["PayloadPart"]["Bytes"] == b"first"
    with pytest.raises(EventStreamError, match="the container's answer broke off"):
        next(events)


def wait_for_object(s3, location):
    bucket, _, key = location.removeprefix("s3://").partition("/")
    limit_s = time.monotonic() + 60
    while True:
        try:
            return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError:
            assert time.monotonic() < limit_s
            time.sleep(0.05)


def test_an_asynchronous_invocation_reads_and_writes_s3(runtime, s3):
    body = "".join(f'{{"text": "{text}"}}\n' for text in TEXTS)
    s3.put_object(Bucket="jobs", Key="in/1.jsonl", Body=body)
    accepted = runtime.invoke_endpoint_async(
        **ENDPOINT,
        InputLocation="s3://jobs/in/1.jsonl",
        ContentType="application/jsonlines",
        Accept="application/jsonlines",
        InferenceId="job-1",
    )
    assert accepted["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert accepted["InferenceId"] == "job-1"
    lines = wait_for_object(s3, accepted["OutputLocation"]).splitlines()
    expected = FakeEncoder().encode_texts(TEXTS)[0]
    np.testing.assert_array_equal(vectors(map(json.loads, lines)), expected)


@pytest.mark.parametrize("key", ["bad.json", "missing.json"])
def test_an_asynchronous_failure_goes_to_its_own_place(runtime, s3, key):
    s3.put_object(Bucket="jobs", Key="bad.json", Body=b"{")
    accepted = runtime.invoke_endpoint_async(**ENDPOINT, InputLocation=f"s3://jobs/{key}")
    failure = wait_for_object(s3, accepted["FailureLocation"])
    assert b"bad_request" in failure or b"missing.json cannot be read" in failure


def test_an_input_location_that_is_none_is_refused(runtime):
    with pytest.raises(ClientError, match="InputLocation must be s3://bucket/key"):
        runtime.invoke_endpoint_async(**ENDPOINT, InputLocation="https://jobs/in")


def test_the_containers_own_routes_answer_as_ever(endpoint):
    assert endpoint.ping().status_code == 200
    assert endpoint.invoke({"text": "a"}).status_code == 200


def test_without_the_switch_there_is_no_such_route(service):
    assert service.session.post(service.url("/endpoints/a/invocations")).status_code == 404


def test_the_snippets_of_the_page_run_as_they_stand(endpoint, s3, s3_url, monkeypatch, capsys):
    """One after the other, as in a notebook; only the addresses come from the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", endpoint.url(""))
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", s3_url)  # moto's server plays all services
    s3.put_object(Bucket="jobs", Key="in.jsonl", Body=b'{"text": "a"}\n')
    boto3.client("sagemaker").create_model(
        ModelName="designs",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/sweetspot",
        PrimaryContainer={"Image": "sweetspot"},
    )
    page = (ROOT / "docs" / "sagemaker.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(snippets) == 5
    names: dict[str, object] = {}
    for snippet in snippets:
        exec(snippet, names)
        if "accepted" in names:
            wait_for_object(s3, names["accepted"]["OutputLocation"])
    assert names["result"]["summary"]["items"] == 1000
    assert "retryable" not in capsys.readouterr().out


def test_the_commands_ask_an_asynchronous_endpoint_and_leave_no_object(runtime, s3):
    before = objects(s3)
    transport = AsyncTransport("designs", "s3://jobs/in/", runtime, s3, lambda _: time.sleep(0.02))
    items = [encode_item(index, {"text": text}) for index, text in enumerate(TEXTS)]
    answer = ask(transport, items, Patience(), threading.Event(), bulk=False)
    found = np.float32([one.embedding for one in answer.results])
    np.testing.assert_array_equal(found, FakeEncoder().encode_texts(TEXTS)[0])
    with pytest.raises(EndpointError, match="async_failed.*bad_request"):
        transport.send(b"{")
    assert objects(s3) == before


def objects(s3):
    return [one["Key"] for one in s3.list_objects_v2(Bucket="jobs").get("Contents", ())]
