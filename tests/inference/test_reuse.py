"""Images of the same bytes: encoded once, whoever else waits, fails or leaves."""

import hashlib
import sys
import threading
import tracemalloc
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.config import BatchConfig
from inference.engine.reuse import ENTRY_BYTES, EmbeddingsByDigest
from inference.errors import Overloaded
from inference.loadtest.thumbnail_server import Reply
from inference.types import Embedding, Failure, ImageBytes, ImageUrl, Text
from model.backends.fake import DIMENSION
from tests.images import jpeg, png
from tests.inference.test_engine import RecordingEncoder, image_vector, opened, soon, wait_for

in_both_ways = pytest.mark.usefixtures("both_ways")

LARGE = 2**20
PICTURES = [png(seed=seed) for seed in range(6)]
VECTORS = [image_vector(data) for data in PICTURES]
ENTRY = ENTRY_BYTES + sys.getsizeof(VECTORS[0].tobytes())


def vector(number):
    return np.full(DIMENSION, number, np.float32)


def digest(number):
    return hashlib.sha256(bytes([number])).digest()


def never(embedding):
    raise AssertionError("it does not wait")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=80), st.integers(0, 8))
def test_it_is_a_bounded_memory_of_the_last_used(steps, room):
    known, model = EmbeddingsByDigest(room * ENTRY + 100), OrderedDict()
    for fails, number in steps:
        found = known.claim(digest(number), never)
        assert (found != "encode") == (number in model)
        if found != "encode":
            model.move_to_end(number)
            np.testing.assert_array_equal(found.vector, vector(number))
            continue
        known.settle(digest(number), None if fails else Embedding(vector(number)))
        if not fails and room:
            model[number] = None
            if len(model) > room:
                model.popitem(last=False)
        assert known.report().held_bytes == len(model) * ENTRY


def test_the_bound_is_one_of_real_memory():
    """Dictionaries, digests and all; and no batch is kept alive for the sake of a row."""
    tracemalloc.start()
    try:
        known = EmbeddingsByDigest(LARGE)
        before = tracemalloc.get_traced_memory()[0]
        most = 0
        for turn in range(40):
            batch = np.ones((200, 32), np.float32)
            for row, one in enumerate(batch):
                sha256 = hashlib.sha256(f"{turn} {row}".encode()).digest()
                assert known.claim(sha256, never) == "encode"
                known.settle(sha256, Embedding(one))
            del batch, one
            most = max(most, tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    assert known.report().held_bytes > 0.9 * LARGE
    assert 0.5 * LARGE < most <= LARGE


def test_what_is_found_elsewhere_is_not_kept_here():
    elsewhere = {digest(1): vector(1)}
    known = EmbeddingsByDigest(LARGE, elsewhere.get)
    np.testing.assert_array_equal(known.claim(digest(1), never).vector, vector(1))
    assert known.claim(digest(2), never) == "encode"
    report = known.report()
    assert (report.hits, report.misses, report.held_bytes) == (1, 0, 0)


waiters = st.lists(st.sampled_from(["takes", "takes", "left"]), max_size=6)


@given(waiters, st.lists(st.booleans(), min_size=7, max_size=7))
def test_after_a_failure_one_that_still_waits_is_encoded(tempers, succeeds):
    """Each is told once; the longest wait comes first; when all have failed, it begins anew."""
    known, told = EmbeddingsByDigest(LARGE), []

    def waiting(number):
        def tell(embedding):
            told.append((number, embedding))
            return embedding is None and tempers[number] == "takes"

        return tell

    assert known.claim(digest(0), never) == "encode"
    for number in range(len(tempers)):
        assert known.claim(digest(0), waiting(number)) == "wait"
    encodes, turns = True, iter(succeeds)
    while encodes:
        before, success = len(told), next(turns)
        known.settle(digest(0), Embedding(vector(0)) if success else None)
        news = told[before:]
        encodes = bool(news) and news[-1][1] is None and tempers[news[-1][0]] == "takes"
        if success:
            assert len(told) == len(tempers)
            assert all(one.vector[0] == 0 for _, one in news)
    assert [number for number, _ in told] == list(range(len(tempers)))
    again = known.claim(digest(0), never)
    assert (again == "encode") == (not success)


def test_many_threads_at_once_encode_each_image_once_and_mix_nothing_up():
    known, encoded, wrong = EmbeddingsByDigest(LARGE), [], []
    numbers = list(range(20))

    def ask(seed):
        for number in np.random.default_rng(seed).permutation(numbers):
            told = SimpleQueue()
            found = known.claim(digest(number), lambda one, told=told: told.put(one))
            if found == "encode":
                encoded.append(number)
                known.settle(digest(number), Embedding(vector(number)))
            elif (found if found != "wait" else told.get(timeout=60)).vector[0] != number:
                wrong.append(number)

    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(ask, range(16)))
    finally:
        sys.setswitchinterval(before_s)
    assert not wrong
    assert sorted(encoded) == numbers
    report = known.report()
    assert (report.hits, report.misses) == (15 * len(numbers), len(numbers))


class Gated(RecordingEncoder):
    """Encodes while its gate is open; fails with as many batches as it is told to."""

    def __init__(self, failing=0):
        super().__init__()
        self.gate, self.reached = threading.Event(), threading.Event()
        self.failing = failing

    def encode_images(self, pixels):
        self.reached.set()
        assert self.gate.wait(60)
        if self.failing and np.any(pixels[0]):  # not the plain image that is tried after a failure
            self.failing -= 1
            raise RuntimeError("for now")
        return super().encode_images(pixels)


def submit(engine, item, told, known, **options):
    deadline_s, started = soon(60), []

    def has_started():
        with suppress(Overloaded):
            started.append(engine.submit(item, deadline_s, told.put, reuse=known, **options))
        return started

    wait_for(has_started)
    return started[0]


def images(encoder):
    return sum(count for tower, count in encoder.batches if tower == "image")


def is_idle(engine):
    """No permit is held, and the batcher waits for nothing."""
    scheduler = engine._pipeline._batcher._scheduler
    return engine.items_in_flight == 0 and scheduler.is_idle("fake")


def waiting(known):
    return sum(map(len, known._waiting.values()))


@in_both_ways
def test_the_same_bytes_from_elsewhere_cost_no_forward_pass(thumbnail_server):
    known, told = EmbeddingsByDigest(LARGE), SimpleQueue()
    for name in ("a", "b"):
        thumbnail_server.replies[f"/{name}"] = Reply(PICTURES[0], headers={"ETag": f'"{name}"'})
    with opened() as engine:
        found = {}
        for name in ("a", "b"):
            submit(engine, ImageUrl(thumbnail_server.url(f"/{name}")), told, known)
            found[name] = told.get(timeout=60)
        submit(engine, ImageBytes(PICTURES[1]), told, known)
        other = told.get(timeout=60)
        wait_for(lambda: is_idle(engine))
        assert images(engine._models["fake"].encoder) == 2
    for name, one in found.items():
        np.testing.assert_array_equal(one.vector, VECTORS[0])
        assert one.details.etag == f'"{name}"'
        assert one.details.sha256 == hashlib.sha256(PICTURES[0]).digest()
    assert found["b"].times_s.keys() == {"fetch", "decode"}
    np.testing.assert_array_equal(other.vector, VECTORS[1])
    assert (known.report().hits, known.report().misses) == (1, 2)


@in_both_ways
def test_items_wait_for_one_of_the_same_bytes_and_no_batch_waits_for_them():
    known, told, encoder = EmbeddingsByDigest(LARGE), SimpleQueue(), Gated()
    with opened(encoder, image=BatchConfig(4, max_wait_s=60.0)) as engine:
        submit(engine, ImageBytes(PICTURES[0]), told, known)
        assert encoder.reached.wait(60)
        for _ in range(7):
            submit(engine, ImageBytes(PICTURES[0]), told, known)
        wait_for(lambda: waiting(known) == 7)
        assert engine.items_in_flight == 8
        encoder.gate.set()
        found = [told.get(timeout=30) for _ in range(8)]
        wait_for(lambda: is_idle(engine))
        assert images(encoder) == 1
    for one in found:
        np.testing.assert_array_equal(one.vector, VECTORS[0])
    assert sorted("encode" in one.times_s for one in found) == [False] * 7 + [True]
    assert (known.report().hits, known.report().misses) == (7, 1)


@in_both_ways
def test_if_one_fails_one_that_waits_is_encoded_instead():
    known, told, encoder = EmbeddingsByDigest(LARGE), SimpleQueue(), Gated(failing=2)
    with opened(encoder) as engine:
        for _ in range(5):
            submit(engine, ImageBytes(PICTURES[0]), told, known)
        wait_for(lambda: waiting(known) == 4)
        encoder.gate.set()
        found = [told.get(timeout=60) for _ in range(5)]
        wait_for(lambda: is_idle(engine))
    failed = [one for one in found if isinstance(one, Failure)]
    assert [one.code for one in failed] == ["encode_failed"] * 2
    for one in found:
        if isinstance(one, Embedding):
            np.testing.assert_array_equal(one.vector, VECTORS[0])
    assert (known.report().hits, known.report().misses) == (2, 1)


@in_both_ways
def test_if_one_is_given_up_before_its_batch_another_is_encoded_instead():
    known, told, encoder = EmbeddingsByDigest(LARGE), SimpleQueue(), Gated()
    with opened(encoder) as engine:
        submit(engine, ImageBytes(PICTURES[1]), told, known)
        assert encoder.reached.wait(60)
        first = submit(engine, ImageBytes(PICTURES[0]), told, known)
        wait_for(lambda: len(known._waiting) == 2)
        second = submit(engine, ImageBytes(PICTURES[0]), told, known)
        wait_for(lambda: waiting(known) == 1)
        submit(engine, ImageBytes(PICTURES[0]), told, known)
        wait_for(lambda: waiting(known) == 2)
        first.give_up()
        second.give_up()
        assert [told.get().code for _ in range(2)] == ["deadline_exceeded"] * 2
        encoder.gate.set()
        found = [told.get(timeout=60) for _ in range(2)]
        wait_for(lambda: is_idle(engine))
        assert images(encoder) == 2
        assert told.empty()
    np.testing.assert_array_equal(found[0].vector, VECTORS[1])
    np.testing.assert_array_equal(found[1].vector, VECTORS[0])


@in_both_ways
def test_what_has_no_digest_or_fails_before_it_is_encoded_shares_nothing(thumbnail_server):
    known, told = EmbeddingsByDigest(LARGE), SimpleQueue()
    cut = jpeg(200, 100)[:500]
    items = [Text("a"), Text(" "), ImageBytes(cut), ImageUrl(thumbnail_server.url("/missing"))]
    with opened() as engine:
        codes = []
        for item in items * 2:
            submit(engine, item, told, known)
            codes.append(getattr(told.get(timeout=60), "code", None))
        wait_for(lambda: is_idle(engine))
    assert codes == [None, "text_invalid", "decode_corrupt", "fetch_http_status"] * 2
    assert not known._waiting
    assert (known.report().hits, known.report().misses) == (0, 0)


@in_both_ways
def test_a_fault_of_what_looks_elsewhere_fails_its_item_only(caplog):
    def find(sha256):
        raise KeyError("a bug of theirs")

    known, told = EmbeddingsByDigest(LARGE, find), SimpleQueue()
    with opened() as engine:
        submit(engine, ImageBytes(PICTURES[0]), told, known)
        assert told.get(timeout=60).code == "internal"
        wait_for(lambda: is_idle(engine))
        engine.submit(ImageBytes(PICTURES[0]), soon(60), told.put)
        assert isinstance(told.get(timeout=60), Embedding)
    assert "a bug of theirs" in caplog.text


@in_both_ways
def test_an_item_that_comes_as_the_encoder_stops_holds_no_other():
    """It is refused by the batcher after it has claimed its image; the next claims it anew."""
    known, told = EmbeddingsByDigest(LARGE), SimpleQueue()
    with opened() as engine:
        engine._pipeline._batcher.close()
        for _ in range(2):
            submit(engine, ImageBytes(PICTURES[0]), told, known)
            assert told.get(timeout=30).code == "encode_failed"
        wait_for(lambda: is_idle(engine))
    assert not known._waiting


@in_both_ways
def test_items_that_wait_for_one_that_fails_as_the_encoder_stops_fail_too():
    known, told, encoder = EmbeddingsByDigest(LARGE), SimpleQueue(), Gated(failing=1)
    with opened(encoder) as engine, ThreadPoolExecutor(1) as pool:
        for _ in range(4):
            submit(engine, ImageBytes(PICTURES[0]), told, known)
        wait_for(lambda: waiting(known) == 3)
        stopping = pool.submit(engine._pipeline._batcher.close)
        wait_for(lambda: engine._pipeline._batcher._closing)
        encoder.gate.set()
        found = [told.get(timeout=30) for _ in range(4)]
        stopping.result(30)
        wait_for(lambda: is_idle(engine))
    assert [one.code for one in found] == ["encode_failed"] * 4
    assert not known._waiting


asked = st.tuples(
    st.integers(0, len(PICTURES) - 1), st.sampled_from(["patient"] * 4 + ["gives up", "alone"])
)


@in_both_ways
@settings(max_examples=15)
@given(
    items=st.lists(asked, min_size=1, max_size=40),
    room=st.sampled_from([0, 2, 100]),
    failing=st.sampled_from([0, 0, 3]),
    batch_size=st.integers(1, 5),
    permits=st.sampled_from([3, 64]),
    closes=st.booleans(),
)
def test_every_item_is_told_its_own_embedding_once(
    items, room, failing, batch_size, permits, closes
):
    """Whoever leaves, fails or shares nothing, and also when the engine closes in the middle."""
    encoder, told = Gated(failing), SimpleQueue()
    encoder.gate.set()
    known = EmbeddingsByDigest(room * ENTRY)
    image = BatchConfig(batch_size, max_wait_s=0.001)
    with opened(encoder, image=image, max_items_in_flight=permits, window=permits) as engine:
        for index, (number, temper) in enumerate(items):
            own = SimpleNamespace(put=lambda result, index=index: told.put((index, result)))
            shared = None if temper == "alone" else known
            single = submit(engine, ImageBytes(PICTURES[number]), own, shared)
            if temper == "gives up":
                single.give_up()
        if closes:
            engine.stop()
        found = dict(told.get(timeout=60) for _ in items)
        wait_for(lambda: is_idle(engine))
    assert told.empty()
    assert len(found) == len(items)
    assert not known._waiting
    for index, (number, temper) in enumerate(items):
        result = found[index]
        if isinstance(result, Embedding):
            np.testing.assert_array_equal(result.vector, VECTORS[number])
        elif result.code == "deadline_exceeded":
            assert temper == "gives up"
        else:
            assert result.code == "encode_failed"
            assert failing or closes
    if room == 100 and not failing and not closes:
        shared = {number for number, temper in items if temper != "alone"}
        alone = sum(temper == "alone" for _, temper in items)
        assert images(encoder) <= len(shared) + alone
