"""A batch transform job over thousands of records: a line out for each line in, joined rightly."""

import csv
import json

import numpy as np
import pytest

from inference.loadtest.thumbnail_server import NOT_FOUND, Reply, ThumbnailServer
from model.backends.fake import FakeEncoder
from tests.e2e.service import started, without_proxies
from tests.e2e.transform import MB, Job, advertised, payloads, transform
from tests.images import png

RECORDS = 2_000
PICTURES = 20
# Every 33rd of them: 3 %.
BAD = 33
SIGNATURE = "X-Amz-Signature=" + "5ec2e7" * 300


class SignedServer(ThumbnailServer):
    """Serves `/N.png` whatever its query, and nothing at all for `/gone`."""

    def __init__(self):
        super().__init__()
        self._pictures = {f"/{n}.png": Reply(png(seed=n)) for n in range(PICTURES)}

    def _find(self, path):
        return self._pictures.get(path.partition("?")[0], NOT_FOUND)


@pytest.fixture(scope="module")
def expected():
    encoder = FakeEncoder()
    pixels = [encoder.spec.preprocessing(png(seed=n)) for n in range(PICTURES)]
    return encoder.encode_images(np.stack(pixels))


@pytest.fixture(scope="module")
def server():
    with SignedServer() as server:
        yield server


@pytest.fixture(scope="module")
def job_service(tmp_path_factory, way):
    """As SageMaker starts it for a job; with a small body, so that there are several payloads."""
    environ = without_proxies() | {"SAGEMAKER_BATCH": "true"}
    folder = tmp_path_factory.mktemp("job")
    arguments = ("--backend", "fake", "--max-body-bytes", str(MB), *way)
    with started(folder, *arguments, env=environ) as service:
        yield service


def url_of(server, number):
    path = "/gone" if number % BAD == 0 else f"/{number % PICTURES}.png"
    return server.url(f"{path}?record={number}&{SIGNATURE}")


def test_lines_of_json_are_joined_to_their_records(job_service, server, expected):
    lines = [
        json.dumps({"url": url_of(server, number), "id": str(number)}).encode()
        for number in range(RECORDS)
    ]
    job = advertised(job_service, "application/jsonlines")
    assert job.strategy == "MULTI_RECORD"
    assert job.payload_bytes == MB
    assert len(payloads(lines, job)) >= 4
    output = transform(job_service.url("/invocations"), lines, job)
    assert len(output) == RECORDS
    for number, line in enumerate(output):
        found = json.loads(line)
        assert found["id"] == str(number)
        if number % BAD == 0:
            assert found["error"]["code"] == "fetch_http_status"
        else:
            np.testing.assert_array_equal(
                np.float32(found["embedding"]), expected[number % PICTURES]
            )


@pytest.mark.parametrize(
    ("strategy", "concurrent", "count"), [("MULTI_RECORD", 2, 400), ("SINGLE_RECORD", 20, 200)]
)
def test_lines_of_csv_are_joined_to_their_records(
    job_service, server, expected, strategy, concurrent, count
):
    lines = [url_of(server, number).encode() for number in range(count)]
    lines[5] = b""
    job = Job("text/csv", concurrent, strategy, MB // 8)
    output = transform(job_service.url("/invocations"), lines, job)
    assert len(output) == count
    for number, (code, *numbers) in enumerate(csv.reader(map(bytes.decode, output))):
        if number == 5:
            assert code == "text_invalid"
        elif number % BAD == 0:
            assert code == "fetch_http_status"
        else:
            assert code == ""
            np.testing.assert_array_equal(np.float32(numbers), expected[number % PICTURES])


def test_a_job_has_wider_limits_and_no_interactive_requests(job_service):
    settings = job_service.log.read_text()
    assert job_service.invoke({"text": "a"}).status_code == 200
    assert " 1 bulk items" in job_service.log.read_text()[len(settings) :]


@pytest.mark.parametrize("media_type", ["application/jsonlines", "application/jsonl"])
def test_a_chunked_body_is_read(job_service, media_type):
    """What MaxPayloadInMB 0 makes of a whole object."""
    headers = {"Content-Type": media_type, "Accept": media_type}
    parts = (b'{"text": "%d"}\n' % number for number in range(3))
    url = job_service.url("/invocations")
    answer = job_service.session.post(url, data=parts, headers=headers, timeout=30)
    assert answer.status_code == 200
    assert answer.text.count("\n") == 2
    assert answer.text.endswith("}")
