"""What the service says of itself: `/metrics`, and one structured line a request."""

import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from serve.http.request_id import request_id_of
from tests.e2e.service import started
from tests.images import png


@pytest.fixture(scope="module")
def told(tmp_path_factory, way):
    """The series and the log after a few requests."""
    folder = tmp_path_factory.mktemp("metrics")
    sizes = ("--batch-size", "4", "--text-batch-size", "2")
    with (
        ThumbnailServer({"/a": Reply(png())}) as thumbnails,
        started(folder, "--backend", "fake", *sizes, *way) as service,
    ):
        pictures = [base64.b64encode(png(seed=seed)).decode() for seed in range(40)]
        assert service.invoke({"images": pictures}).status_code == 200
        urls = [thumbnails.url(path) for path in ("/a", "/gone", "/gone?2")]
        assert service.invoke({"urls": urls}).status_code == 200
        headers = {"X-Amzn-SageMaker-Inference-Id": "order-7", "X-Request-Id": "of a proxy"}
        assert service.invoke({"text": "secret query"}, headers=headers).status_code == 200
        assert service.invoke({"texts": ["a"] * 3, "parameters": {"lane": "bulk"}}).ok
        assert service.invoke({"texts": ["a", "secret query"]}).ok  # both known by now
        long = {"X-Request-Id": f"a?u=b\tc{'d' * 500}".encode()}
        assert service.invoke({"nonsense": 1}, headers=long).status_code == 400
        text = service.session.get(service.url("/metrics"), timeout=10).text
    samples = {
        (sample.name, *(sample.labels.get(key, "") for key in ("tower", "lane", "code", "stage"))):
        sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }  # fmt: skip
    return samples, text, (folder / "serve.log").read_text()


def value(told, name, tower="", lane="", code="", stage=""):
    return told[0][name, tower, lane, code, stage].value


def test_items_are_counted_by_lane_and_code(told):
    assert value(told, "sweetspot_items_total", lane="bulk", code="ok") == 40 + 1 + 3
    assert value(told, "sweetspot_items_total", lane="bulk", code="fetch_http_status") == 2
    assert value(told, "sweetspot_items_total", lane="interactive", code="ok") == 1 + 2


def test_stages_have_histograms(told):
    name = "sweetspot_stage_seconds_count"
    assert value(told, name, lane="bulk", stage="fetch") == 3
    assert value(told, name, lane="bulk", stage="decode") == 41
    assert value(told, name, lane="interactive", stage="encode") == 1
    assert value(told, "sweetspot_request_seconds_count", lane="bulk") == 3


def test_batches_are_counted_and_their_sizes_known(told):
    # The self-test's picture and text are batches, too.
    assert value(told, "sweetspot_batch_size_sum", tower="image") == 40 + 1 + 1
    assert value(told, "sweetspot_sweet_spot", tower="image") == 4
    assert value(told, "sweetspot_sweet_spot", tower="text") == 2
    assert value(told, "sweetspot_slowdown", tower="image") > 0
    assert value(told, "sweetspot_items_in_flight") == 0
    assert value(told, "sweetspot_queue_items", tower="image", lane="bulk") == 0
    assert 'sweetspot_batch_service_seconds{model="fake",size="1",tower="text"}' in told[1]
    assert told[0]["sweetspot_batch_size_bucket", "text", "", "", ""].labels["le"] == "+Inf"


def test_texts_asked_again_are_counted_and_never_reach_the_encoder(told):
    # The self-test's text was asked of the encoder, too, like each that came for the first time.
    assert value(told, "sweetspot_text_cache_hits_total") == 2
    assert value(told, "sweetspot_text_cache_misses_total") == 1 + 2
    assert value(told, "sweetspot_batch_size_sum", tower="text") == 1 + 2
    assert 0 < value(told, "sweetspot_text_cache_bytes") < 16 * 2**20


def test_requests_are_counted_by_their_end(told):
    ends = [line for line in told[1].splitlines() if line.startswith("sweetspot_requests_total")]
    assert 'sweetspot_requests_total{lane="bulk",status="200"} 3.0' in ends
    assert 'sweetspot_requests_total{lane="unknown",status="bad_request"} 1.0' in ends


def test_a_request_is_one_structured_line_and_a_ping_none(told):
    lines = [json.loads(line) for line in told[2].splitlines()]
    requests = [line for line in lines if line["logger"] == "sweetspot.request"]
    assert [line["status"] for line in requests] == [200, 200, 200, 200, 200, 400]
    assert requests[1]["failures"] == {"fetch_http_status": 2}
    assert (requests[1]["lane"], requests[1]["items"]) == ("bulk", 3)
    assert requests[4]["encode_ms"] == requests[4]["queue_ms"] == 0
    assert {"fetch_ms", "decode_ms", "queue_ms", "encode_ms", "total_ms"} <= requests[0].keys()
    assert requests[5]["code"] == "bad_request"
    assert "ping" not in told[2]


def test_the_callers_id_of_a_request_is_in_its_line_bounded_and_visible(told):
    lines = [json.loads(line) for line in told[2].splitlines()]
    ids = [line.get("request_id") for line in lines if line["logger"] == "sweetspot.request"]
    assert ids[:5] == [None, None, "order-7", None, None]
    assert ids[5] == "a?[redacted]"
    assert "; request order-7" in told[2]


@given(st.text(st.characters(codec="latin-1"), min_size=1))
def test_no_id_is_long_or_moves_the_line(given_id):
    found = request_id_of({"HTTP_X_REQUEST_ID": given_id})
    assert (found is None) == (not given_id.strip())
    assert found is None or re.fullmatch(r"[!-~]{1,128}", found)


def test_neither_urls_nor_texts_are_logged(told):
    assert "secret query" not in told[2]
    assert "/gone" not in told[2]
