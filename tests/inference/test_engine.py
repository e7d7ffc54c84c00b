"""The whole pipeline in one process: order, deadlines, permits, failures beside embeddings."""

import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.config import BatchConfig, EngineConfig, FetchConfig, UrlConfig
from inference.engine.engine import Engine
from inference.errors import ClientLeft, Overloaded
from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from inference.types import Embedding, Failure, ImageBase64, ImageBytes, ImageUrl, Text
from model.backends.fake import FakeEncoder
from tests.images import jpeg, png
from tests.servers import MeetingServer

pytestmark = pytest.mark.usefixtures("both_ways")

LOCAL = FetchConfig(urls=UrlConfig(allow_hosts=("127.0.0.1",)))
PATIENT = FetchConfig(urls=UrlConfig(allow_hosts=("127.0.0.1",)), fetch_timeout_s=60.0)


class RecordingEncoder(FakeEncoder):
    """The fake encoder, and the sizes of the batches it was given."""

    def __init__(self, **options):
        super().__init__(**options)
        self.batches = []

    def encode_images(self, pixels):
        self.batches.append(("image", len(pixels)))
        return super().encode_images(pixels)

    def encode_texts(self, texts):
        self.batches.append(("text", len(texts)))
        return super().encode_texts(texts)


@contextmanager
def opened(encoder=None, **config):
    encoder = encoder or RecordingEncoder()
    fetch = replace(LOCAL, max_image_bytes=config.pop("max_image_bytes", LOCAL.max_image_bytes))
    with Engine(encoder, fetch, EngineConfig(**config)) as engine:
        yield engine


def soon(seconds=60.0):
    return time.monotonic() + seconds


def embed(engine, items, **options):
    return engine.embed(items, soon(), **options).results


def text_vector(text):
    return FakeEncoder().encode_texts([text])[0][0]


def image_vector(data):
    encoder = FakeEncoder()
    return encoder.encode_images(encoder.spec.preprocessing(data)[None])[0]


def test_each_kind_of_item_is_embedded(thumbnail_server):
    data = png()
    thumbnail_server.replies["/a"] = Reply(data)
    encoded = base64.b64encode(data).decode()
    items = [
        ImageUrl(thumbnail_server.url("/a")),
        ImageBase64(encoded),
        ImageBytes(data),
        ImageUrl(f"data:image/png;base64,{encoded}"),
        ImageUrl("DATA:," + "".join(f"%{byte:02x}" for byte in data)),
        Text("a login form"),
    ]
    with opened() as engine:
        results = embed(engine, items)
    for result in results[:5]:
        np.testing.assert_array_equal(result.vector, image_vector(data))
    np.testing.assert_array_equal(results[5].vector, text_vector("a login form"))


def test_blanks_around_and_inside_a_url_do_no_harm(thumbnail_server):
    data = png()
    thumbnail_server.replies |= {"/a%20b.png": Reply(data)}
    encoded = base64.b64encode(data).decode()
    urls = [
        thumbnail_server.url("/a b.png"),
        f" {thumbnail_server.url('/a%20b.png')}\r\n",
        f"\n data:image/png;base64,{encoded} \t",
        f" DATA:,{''.join(f'%{byte:02x}' for byte in data)}\n",
    ]
    with opened() as engine:
        results = embed(engine, [ImageUrl(url) for url in urls])
    for result in results:
        np.testing.assert_array_equal(result.vector, image_vector(data))


def test_an_image_may_be_a_data_url():
    """As in `url`: with the same embedding, and the same failures."""
    data = png()
    encoded = base64.b64encode(data).decode()
    texts = [
        f"data:image/png;base64,{encoded}",
        f" DATA:;base64,{encoded}\n",
        "data:," + "".join(f"%{byte:02x}" for byte in data),
        "data:image/png;base64",
        "data:image/png;base64,!",
        "data:image/png;base64,",
        "data:,\ud800",
        "data:;base64," + "A" * 3_000_000,
        "data:text/html,<html></html>",
    ]
    with opened(max_image_bytes=1_000_000) as engine:
        as_images = embed(engine, [ImageBase64(text) for text in texts])
        as_urls = embed(engine, [ImageUrl(text) for text in texts])
    for result in as_images[:3]:
        np.testing.assert_array_equal(result.vector, image_vector(data))
    assert as_images[3:] == as_urls[3:]
    assert [result.code for result in as_images[3:]] == [
        "fetch_blocked", "decode_corrupt", "decode_corrupt", "fetch_blocked", "fetch_too_large",
        "decode_unsupported",
    ]  # fmt: skip


def test_one_bad_item_never_harms_its_neighbours(thumbnail_server):
    good, cut = jpeg(200, 100), jpeg(200, 100)[:500]
    thumbnail_server.replies |= {
        "/good": Reply(good),
        "/cut": Reply(cut),
        "/page": Reply(b"<html></html>", "text/html"),
    }
    paths = ["/good", "/missing", "/cut", "/page", "/good?again"]
    thumbnail_server.replies["/good?again"] = Reply(good)
    items = [ImageUrl(thumbnail_server.url(path)) for path in paths]
    items += [ImageUrl("http://10.0.0.1/"), ImageBase64("!"), Text(" "), Text("\ud800"), Text("x")]
    with opened() as engine:
        results = embed(engine, items)
    codes = [result.code if isinstance(result, Failure) else "embedding" for result in results]
    assert codes == [
        "embedding", "fetch_http_status", "decode_corrupt", "decode_unsupported", "embedding",
        "fetch_blocked", "decode_corrupt", "text_invalid", "text_invalid", "embedding",
    ]  # fmt: skip
    np.testing.assert_array_equal(results[0].vector, image_vector(good))
    assert results[1].message == "404 Not Found"


def test_identical_urls_are_fetched_once(thumbnail_server):
    thumbnail_server.replies["/a"] = Reply(png())
    with opened() as engine:
        results = embed(engine, [ImageUrl(thumbnail_server.url("/a"))] * 20)
    assert thumbnail_server.requests == 1
    assert len({result.vector.tobytes() for result in results}) == 1


def test_downloads_run_in_parallel():
    """As many at once as there are threads that fetch: the server answers only full houses."""
    with (
        MeetingServer(16, png()) as server,
        Engine(FakeEncoder(), PATIENT, EngineConfig(io_threads=16)) as engine,
    ):
        items = [ImageUrl(url) for url in server.thumbnails(32)]
        results = engine.embed(items, soon(60.0)).results
    assert all(isinstance(result, Embedding) for result in results)
    assert server.peak == 16


@settings(max_examples=25)
@given(
    requests=st.lists(
        st.lists(st.integers(0, 30), min_size=1, max_size=40), min_size=1, max_size=6
    ),
    batch_size=st.integers(1, 9),
    window=st.integers(1, 12),
)
def test_every_item_gets_its_own_result_in_order(requests, batch_size, window):
    """Whatever the sizes and however many ask at once; a multiple of 7 is not a text."""
    config = {
        "text": BatchConfig(batch_size, max_wait_s=0.001),
        "window": window,
        "max_items_in_flight": 6 * window,
    }

    def ask(numbers):
        items = [Text(" " * number if number % 7 == 0 else f"text {number}") for number in numbers]
        return embed(engine, items)

    with opened(**config) as engine, ThreadPoolExecutor(len(requests)) as pool:
        for numbers, results in zip(requests, pool.map(ask, requests), strict=True):
            assert len(results) == len(numbers)
            for number, result in zip(numbers, results, strict=True):
                if number % 7 == 0:
                    assert result.code == "text_invalid"
                else:
                    np.testing.assert_array_equal(result.vector, text_vector(f"text {number}"))
        assert engine.items_in_flight == 0
        assert all(size <= batch_size for _, size in engine._models["fake"].encoder.batches)


def test_the_images_of_a_request_form_full_batches():
    encoder = RecordingEncoder()
    with opened(encoder, image=BatchConfig(8, max_wait_s=30)) as engine:
        embed(engine, [ImageBytes(png(seed=seed)) for seed in range(32)])
    assert encoder.batches == [("image", 8)] * 4


def test_images_and_texts_never_share_a_forward_pass():
    encoder = RecordingEncoder()
    items = [ImageBytes(png(seed=s)) if s % 2 else Text(str(s)) for s in range(40)]
    with opened(encoder) as engine:
        embed(engine, items)
    assert sum(size for tower, size in encoder.batches if tower == "image") == 20
    assert sum(size for tower, size in encoder.batches if tower == "text") == 20


def test_at_the_deadline_what_is_done_is_answered_and_the_rest_has_failed():
    with ThumbnailServer(latency_s=1.5) as server, opened() as engine:
        items = [Text("quick"), ImageUrl(server.url("/1.jpg"))]
        start_s = time.monotonic()
        results = engine.embed(items, start_s + 0.3).results
        assert time.monotonic() - start_s < 1.4
    assert isinstance(results[0], Embedding)
    assert (results[1].code, results[1].retryable) == ("deadline_exceeded", True)


def test_permits_come_back_when_late_items_end():
    """Their fetches are cut off at the deadline of the request, not at their own."""
    with ThumbnailServer(latency_s=60.0) as server, opened(max_items_in_flight=4) as engine:
        items = [ImageUrl(url) for url in server.thumbnails(4)]
        engine.embed(items, time.monotonic() + 0.05)
        wait_for(lambda: engine.items_in_flight == 0)
        assert isinstance(embed(engine, [Text("x")])[0], Embedding)


def test_without_a_permit_a_request_is_refused_at_once():
    hold = threading.Event()
    encoder = FakeEncoder(fixed_s=1.0, sleep=lambda _: hold.wait())
    with opened(encoder, max_items_in_flight=2) as engine, ThreadPoolExecutor(1) as pool:
        first = pool.submit(embed, engine, [Text("a"), Text("b")])
        wait_for(lambda: engine.items_in_flight == 2)
        with pytest.raises(Overloaded) as caught:
            embed(engine, [Text("c")])
        assert caught.value.retry_after_s > 0
        hold.set()
        assert len(first.result()) == 2


def test_a_request_starts_with_the_permits_that_are_free():
    hold = threading.Event()
    encoder = FakeEncoder(fixed_s=1.0, sleep=lambda _: hold.wait(30) and None)
    with opened(encoder, max_items_in_flight=3) as engine, ThreadPoolExecutor(2) as pool:
        first = pool.submit(embed, engine, [Text("a"), Text("b")])
        wait_for(lambda: engine.items_in_flight == 2)
        second = pool.submit(embed, engine, [Text(f"{number}") for number in range(20)])
        wait_for(lambda: engine.items_in_flight == 3)
        hold.set()
        assert len(first.result(30)) == 2
        assert all(isinstance(result, Embedding) for result in second.result(30))


def test_a_large_request_holds_permits_only_for_its_window():
    with opened(max_items_in_flight=8, window=8) as engine:
        results = embed(engine, [Text(f"{number}") for number in range(1000)])
        assert len(results) == 1000
        assert engine.items_in_flight == 0


def test_work_of_a_client_that_left_is_shed():
    """One forward pass is running when the client leaves; no second one is spent on it."""
    hold = threading.Event()
    encoder = RecordingEncoder(fixed_s=1.0, sleep=lambda _: hold.wait())
    config = {"text": BatchConfig(1), "max_items_in_flight": 8}
    with opened(encoder, **config) as engine:
        with pytest.raises(ClientLeft):
            embed(engine, [Text(str(n)) for n in range(8)], client_left=lambda: True)
        hold.set()
        wait_for(lambda: engine.items_in_flight == 0)
        assert encoder.batches == [("text", 1)]
        assert isinstance(embed(engine, [Text("next")])[0], Embedding)


def test_an_engine_that_closes_answers_what_it_cannot_start():
    """More items than a window, and the pools close: none hangs, no thread dies."""
    hold = threading.Event()
    encoder = FakeEncoder(fixed_s=1.0, sleep=lambda _: hold.wait(30) and None)
    engine = Engine(encoder, LOCAL, EngineConfig(window=4, image=BatchConfig(4)))
    items = [ImageBytes(png(seed=seed)) for seed in range(20)]
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(embed, engine, items)
        wait_for(lambda: engine.items_in_flight == 4)
        closing = pool.submit(engine.close)
        wait_for(lambda: engine._pipeline.preparation.closing)
        hold.set()
        results = answer.result(30).copy()
        closing.result(30)
    assert len(results) == 20
    assert {r.code for r in results if isinstance(r, Failure)} <= {"encode_failed"}


def test_draining_brings_deadlines_forward(gated_server):
    with opened() as engine, ThreadPoolExecutor(1) as pool:
        items = [ImageUrl(gated_server.url("/gate"))]
        answer = pool.submit(engine.embed, items, soon(600))
        assert gated_server.reached.wait(60)
        engine.drain(time.monotonic())
        assert answer.result(timeout=60).results[0].code == "deadline_exceeded"
        gated_server.gate.set()


def test_times_are_spans_not_sums():
    """8 fetches of 0.2 s at once are some 0.2 s of fetching."""
    with ThumbnailServer({"/a": Reply(png())}, latency_s=0.2) as server, opened() as engine:
        server.replies |= {f"/{n}": Reply(png(seed=n)) for n in range(8)}
        items = [ImageUrl(server.url(f"/{n}")) for n in range(8)]
        times = engine.embed(items, soon()).times.as_ms()
    assert times.keys() == {"fetch_ms", "decode_ms", "queue_ms", "encode_ms", "total_ms"}
    # A sum would be more than the whole.
    assert 200 <= times["fetch_ms"] <= times["total_ms"]


def test_texts_have_a_bound():
    with opened(max_text_chars=10) as engine:
        results = embed(engine, [Text("x" * 11), Text("x" * 10)])
    assert results[0].code == "text_invalid"
    assert isinstance(results[1], Embedding)


def wait_for(condition, seconds=60.0):
    limit_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit_s, "it never came true"
        threading.Event().wait(0.005)


@pytest.mark.parametrize("status", [429, 503])
def test_a_failure_says_how_long_its_server_wants_to_be_left_alone(thumbnail_server, status):
    headers = {"Retry-After": "86400"}
    thumbnail_server.replies["/busy"] = Reply(b"", "text/html", status, headers)
    with opened() as engine:
        urls = [thumbnail_server.url(path) for path in ("/busy", "/missing")]
        busy, gone = embed(engine, [ImageUrl(url) for url in urls])
    assert (busy.code, busy.retryable, busy.retry_after_s) == ("fetch_http_status", True, 3600.0)
    assert gone.retry_after_s is None
    assert thumbnail_server.requests == 2
