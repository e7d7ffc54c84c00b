"""What holds of the whole engine whatever its callers, its encoder and its end do."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.config import BatchConfig, EngineConfig, FetchConfig
from inference.engine.engine import Engine
from inference.errors import ClientLeft, Overloaded
from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from inference.profile.curve import Point, fit
from inference.stats import StageTimes
from inference.types import Embedding, Failure, ImageBytes, ImageUrl, Text, lane_of
from model.backends.fake import FakeEncoder
from tests.images import png
from tests.inference.test_engine import (
    LOCAL,
    PATIENT,
    RecordingEncoder,
    soon,
    text_vector,
    wait_for,
)
from tests.servers import MeetingServer

pytestmark = pytest.mark.usefixtures("both_ways")

POISON = 13
ENDS = {"encode_failed", "deadline_exceeded"}


class Fragile(RecordingEncoder):
    """Fails with every batch in which a poisoned text is; the others are to live."""

    def encode_texts(self, texts):
        answer = super().encode_texts(texts)
        if f"text {POISON}" in texts:
            raise RuntimeError("poisoned")
        return answer


requests = st.tuples(
    st.lists(st.integers(0, 30), min_size=1, max_size=40),
    st.sampled_from(["interactive", "bulk", None]),
    st.sampled_from(["patient", "patient", "leaves", "hurried"]),
    st.booleans(),
)


@settings(max_examples=40)
@given(
    asked=st.lists(requests, min_size=1, max_size=6),
    batch_size=st.integers(1, 9),
    window=st.integers(1, 12),
    streams=st.integers(1, 3),
    closes=st.booleans(),
)
def test_every_item_gets_exactly_its_own_result(asked, batch_size, window, streams, closes):
    """Whoever leaves, hurries or is poisoned, and also when the engine closes in the middle."""
    config = EngineConfig(
        text=BatchConfig(batch_size, max_wait_s=0.001),
        window=window,
        streams=streams,
        max_items_in_flight=8 * window,
        lane_permits=window,
    )
    encoder = Fragile()
    engine = Engine(encoder, LOCAL, config)

    def ask(numbers, lane, temper, streamed):
        items = [Text(f"text {number}") for number in numbers]
        deadline_s = time.monotonic() + (0.0 if temper == "hurried" else 30.0)
        asked = (items, deadline_s, lambda: temper == "leaves", lane)
        try:
            if not streamed:
                return engine.embed(*asked).results
            with engine.stream(*asked) as stream:
                came = [one for group in stream for one in group]
            assert sorted(index for index, _ in came) == list(range(len(items)))
            return [result for _, result in sorted(came, key=lambda one: one[0])]
        except (ClientLeft, Overloaded) as exc:
            return exc

    with ThreadPoolExecutor(len(asked)) as pool:
        answers = [pool.submit(ask, *one) for one in asked]
        if closes:
            engine.close()
        wait(answers)
        wait_for(lambda: engine.items_in_flight == 0)
    if not closes:
        engine.close()
    assert all(size <= batch_size for _, size in encoder.batches)
    for (numbers, _, temper, _), answer in zip(asked, answers, strict=True):
        check(numbers, temper, answer.result(), closes=closes)


def check(numbers, temper, results, *, closes):
    if isinstance(results, ClientLeft):
        assert temper == "leaves"
        return
    assert isinstance(results, list), results
    assert len(results) == len(numbers)
    for number, result in zip(numbers, results, strict=True):
        if isinstance(result, Failure):
            assert result.code in ENDS
            assert temper == "hurried" or closes or number == POISON
        else:
            assert number != POISON
            np.testing.assert_array_equal(result.vector, text_vector(f"text {number}"))


class OwnTime:
    """A clock that only the encoder moves, and only while a full house waits behind it."""

    def __init__(self):
        self.now_s = 0.0
        self.may_go = lambda: True

    def read(self):
        return self.now_s

    def sleep(self, seconds):
        wait_for(self.may_go)
        self.now_s += seconds


def tuned(batch_size, fixed_s, per_item_s):
    times_ms = {n: 1000 * (fixed_s + n * per_item_s) for n in (1, 2, 4, 8, 16)}
    curve = fit([Point(n, time_ms, time_ms) for n, time_ms in times_ms.items()])
    return BatchConfig(batch_size, fixed_s, curve)


def test_the_engine_keeps_the_batch_sizes_of_the_policy():
    """16 bulk clients of 16 images each: full batches; shorter ones while queries come."""
    time_of_its_own = OwnTime()
    encoder = RecordingEncoder(fixed_s=0.040, per_item_s=0.020, sleep=time_of_its_own.sleep)
    image = tuned(12, 0.040, 0.020)
    config = EngineConfig(image=image, text=tuned(12, 0.040, 0.020), max_items_in_flight=512)
    pictures = [ImageBytes(png(seed=seed)) for seed in range(16)]
    left = threading.Semaphore(0)

    def client(number):
        for turn in range(6):
            # Distinct bytes: a comment behind the picture's end is no part of it.
            items = [ImageBytes(one.data + bytes([number, turn])) for one in pictures]
            results = engine.embed(items, soon(60)).results
            assert all(isinstance(result, Embedding) for result in results)
            left.release()

    with (
        Engine(encoder, FetchConfig(), config, clock=time_of_its_own.read) as engine,
        ThreadPoolExecutor(17) as pool,
    ):
        total = 16 * 6 * 16

        def full_house():
            sent = sum(n for tower, n in encoder.batches if tower == "image")
            return sum(engine.report("image").waiting.values()) >= min(12, total - sent)

        time_of_its_own.may_go = full_house
        clients = [pool.submit(client, number) for number in range(16)]
        for _ in range(48):
            left.acquire(timeout=60)
        query = engine.embed([Text("dark login screen")], soon(60)).results[0]
        asked_s = time_of_its_own.now_s
        for one in clients:
            one.result(120)
    assert isinstance(query, Embedding)
    at = encoder.batches.index(("text", 1))
    before = [n for _, n in encoder.batches[:at]]
    assert set(before[1:]) == {12}
    # T(8) = 200 ms, for the 10 s after the query; 200 ms each.
    after = [n for _, n in encoder.batches[at + 1 :]]
    assert set(after[1:40]) == {8}
    assert time_of_its_own.now_s > asked_s


def test_interactive_items_wait_behind_no_bulk_fetch():
    """The server answers three at once, or none; two threads that fetch are taken by the bulk."""
    config = EngineConfig(io_threads=2)
    with (
        MeetingServer(3, png()) as server,
        Engine(FakeEncoder(), PATIENT, config) as engine,
        ThreadPoolExecutor(1) as pool,
    ):
        *two, screenshot = [ImageUrl(url) for url in server.thumbnails(3)]
        bulk = pool.submit(engine.embed, two, soon(60))
        wait_for(lambda: server.requests == 2)
        results = engine.embed([screenshot], soon(60)).results + bulk.result().results
    assert all(isinstance(result, Embedding) for result in results)


def test_permits_are_kept_for_interactive_items():
    hold = threading.Event()
    encoder = FakeEncoder(fixed_s=1.0, sleep=lambda _: hold.wait(30))
    config = EngineConfig(max_items_in_flight=8, window=8, lane_permits=2)
    bulk = [Text(str(number)) for number in range(20)]
    with Engine(encoder, LOCAL, config) as engine, ThreadPoolExecutor(2) as pool:
        first = pool.submit(engine.embed, bulk, soon(30))
        wait_for(lambda: engine.items_in_flight == 6)
        with pytest.raises(Overloaded):
            engine.embed(bulk, soon())
        query = pool.submit(engine.embed, [Text("query")], soon(30))
        wait_for(lambda: engine.items_in_flight == 7)
        hold.set()
        assert isinstance(query.result(30).results[0], Embedding)
        assert len(first.result(30).results) == 20


@pytest.mark.parametrize(
    ("items", "lane"),
    [
        ([Text("a")] * 8, "interactive"),
        ([Text("a")] * 9, "bulk"),
        ([ImageUrl("http://a/")], "interactive"),
        ([ImageUrl("http://a/")] * 2, "bulk"),
        ([Text("a"), ImageUrl("http://a/")], "bulk"),
    ],
)
def test_a_few_texts_or_one_image_are_interactive(items, lane):
    assert lane_of(items) == lane


def test_every_result_knows_its_stage_times():
    with ThumbnailServer({"/a": Reply(png())}) as server:
        items = [ImageUrl(server.url("/a")), Text("b"), ImageUrl(server.url("/missing"))]
        with Engine(FakeEncoder(), LOCAL, EngineConfig()) as engine:
            image, text, missing = engine.embed(items, soon()).results
    assert image.times_s.keys() == {"fetch", "decode", "queue", "encode"}
    assert text.times_s.keys() == {"queue", "encode"}
    assert missing.times_s.keys() == {"fetch"}


def test_a_caller_gives_the_times_and_finds_them_in_each_batch():
    times, told = StageTimes(), []
    with Engine(FakeEncoder(), LOCAL, EngineConfig()) as engine:
        engine.watch_batches(told.append)
        answer = engine.embed([Text("a"), Text("b")], soon(), times=times)
    assert answer.times is times
    assert times.spans().keys() == {"queue", "encode"}
    assert [entry.times.request for one in told for entry in one.batch.entries] == [times, times]


def test_what_batches_take_is_held_against_the_tuning(caplog):
    """Four times here: told to who asks, and no warning, since no other process is the cause."""
    slow = FakeEncoder(fixed_s=0.004)
    with Engine(slow, LOCAL, EngineConfig(text=tuned(4, 0.001, 1e-6))) as engine:
        for number in range(40):
            engine.embed([Text(str(number))], soon())
        report = engine.report("text")
    assert report.slowdown > 3
    assert report.batches[1].count == 40
    assert not caplog.records


def test_an_item_that_comes_in_the_instant_of_the_end_has_failed():
    """It saw the engine open, and finds the batcher closed: no wait until the deadline."""
    engine = Engine(FakeEncoder(), LOCAL, EngineConfig())
    engine.close()
    engine._pipeline.preparation.closing = False
    (result,) = engine.embed([Text("late")], soon(60)).results
    assert (result.code, result.message) == ("encode_failed", "the service is stopping")
    assert engine.items_in_flight == 0
