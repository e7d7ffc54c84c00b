"""A text asked again: answered from memory, by its own embedding, within a bound."""

import sys
import threading
import time
import tracemalloc
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.config import BatchConfig
from inference.engine.text_cache import ENTRY_BYTES, TextCache
from inference.types import Embedding, ImageBytes, Text
from model.backends.fake import CONTEXT_LENGTH, FakeEncoder
from tests.images import png
from tests.inference.test_engine import (
    RecordingEncoder,
    embed,
    opened,
    soon,
    text_vector,
    wait_for,
)

# Room for three short texts.
SMALL = 3 * (ENTRY_BYTES + sys.getsizeof("text 10") + sys.getsizeof(text_vector("").tobytes()))


def counts(engine):
    report = engine.text_cache_report()
    return report.hits, report.misses


def test_a_text_asked_again_costs_no_forward_pass():
    long = "word " * 100
    with opened() as engine:
        first = embed(engine, [Text("a"), Text(long)])
        again = engine.embed([Text(long), Text("a"), Text(long)], soon())
        assert engine._models["fake"].encoder.batches == [("text", 2)]
        assert counts(engine) == (2, 2)
    assert [result.truncated for result in again.results] == [True, False, True]
    assert [result.tokens for result in again.results] == [CONTEXT_LENGTH, 3, CONTEXT_LENGTH]
    np.testing.assert_array_equal(again.results[1].vector, first[0].vector)
    np.testing.assert_array_equal(again.results[2].vector, first[1].vector)
    assert [result.times_s for result in again.results] == [{}] * 3
    times_ms = again.times.as_ms()
    assert times_ms.pop("total_ms") > 0
    assert set(times_ms.values()) == {0.0}


def test_known_and_unknown_items_are_answered_in_order():
    with opened() as engine:
        embed(engine, [Text("b")])
        items = [Text("a"), Text("b"), ImageBytes(png()), Text(" "), Text("b")]
        results = embed(engine, items)
        assert engine.items_in_flight == 0
    assert results[3].code == "text_invalid"
    for index, text in ((0, "a"), (1, "b"), (4, "b")):
        np.testing.assert_array_equal(results[index].vector, text_vector(text))
    assert isinstance(results[2], Embedding)


def test_known_texts_need_no_permit_and_wait_for_no_batch():
    """The one permit is held and the encoder stands still."""
    hold = threading.Event()
    slow = FakeEncoder(fixed_s=1.0, sleep=lambda _: hold.wait(30) and None)
    with opened(slow, max_items_in_flight=1) as engine, ThreadPoolExecutor(1) as pool:
        hold.set()
        embed(engine, [Text("known")])
        hold.clear()
        stuck = pool.submit(embed, engine, [Text("new")])
        wait_for(lambda: engine.items_in_flight == 1)
        np.testing.assert_array_equal(
            embed(engine, [Text("known")])[0].vector, text_vector("known")
        )
        assert engine.items_in_flight == 1
        hold.set()
        assert isinstance(stuck.result(30)[0], Embedding)


def test_texts_that_differ_in_anything_are_not_merged():
    texts = ["Login", "login", "login ", " login", "log in", "\uff4cogin", "é", "e\u0301"]
    with opened() as engine:
        for text in texts + texts:
            np.testing.assert_array_equal(embed(engine, [Text(text)])[0].vector, text_vector(text))
        assert counts(engine) == (len(texts), len(texts))


def test_what_a_caller_does_with_an_embedding_harms_no_later_one():
    with opened() as engine:
        embed(engine, [Text("a")])[0].vector[:] = 0
        known = embed(engine, [Text("a")])[0].vector
        np.testing.assert_array_equal(known, text_vector("a"))
        with pytest.raises(ValueError, match="read-only"):
            known[0] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            known.setflags(write=True)


def test_failures_are_not_kept():
    """They are asked of the encoder again."""

    class Failing(RecordingEncoder):
        failing = True

        def encode_texts(self, texts):
            if self.failing:
                raise RuntimeError("for now")
            return super().encode_texts(texts)

    items = [Text("a"), Text("b")]
    encoder = Failing()
    with opened(encoder) as engine:
        assert [result.code for result in embed(engine, items)] == ["encode_failed"] * 2
        encoder.failing = False
        for item, result in zip(items, embed(engine, items), strict=True):
            np.testing.assert_array_equal(result.vector, text_vector(item.text))
        embed(engine, items)
        assert encoder.batches == [("text", 2)]
        assert counts(engine) == (2, 4)


def test_what_came_too_late_for_its_request_is_there_for_the_next():
    hold = threading.Event()
    slow = RecordingEncoder(fixed_s=1.0, sleep=lambda _: hold.wait(30) and None)
    with opened(slow) as engine:
        late = engine.embed([Text("a")], time.monotonic() + 0.1).results[0]
        assert late.code == "deadline_exceeded"
        hold.set()
        wait_for(lambda: engine.items_in_flight == 0)
        assert isinstance(embed(engine, [Text("a")])[0], Embedding)
        assert slow.batches == [("text", 1)]


def test_the_least_recently_asked_goes_first():
    with opened(text_cache_bytes=SMALL) as engine:
        for name in "abcada":  # d takes b's place
            embed(engine, [Text(f"text {name}.")])
        encoded = len(engine._models["fake"].encoder.batches)
        embed(engine, [Text("text c."), Text("text d."), Text("text a.")])
        assert len(engine._models["fake"].encoder.batches) == encoded == 4
        embed(engine, [Text("text b.")])
        assert len(engine._models["fake"].encoder.batches) == 5


def test_what_is_larger_than_the_cache_is_embedded_all_the_same():
    with opened(text_cache_bytes=SMALL) as engine:
        embed(engine, [Text("a")])
        for _ in range(2):
            result = embed(engine, [Text("x" * SMALL)])[0]
            np.testing.assert_array_equal(result.vector, text_vector("x" * SMALL))
        embed(engine, [Text("a")])
        assert counts(engine) == (1, 3)


@given(
    steps=st.lists(st.tuples(st.sampled_from(["get", "put"]), st.integers(0, 12)), max_size=80),
    room=st.integers(0, 8),
)
def test_the_cache_is_a_bounded_memory_of_the_last_asked(steps, room):
    """Texts of one size, so that the bound is a number of texts: exactly an LRU of so many."""
    max_bytes = room * SMALL // 3 + 100
    cache, model, gets = TextCache(max_bytes), OrderedDict(), 0
    for step, number in steps:
        text = f"text {number:02d}"
        if step == "put":
            cache.put(text, Embedding(text_vector(text), truncated=number % 2 == 0, tokens=number))
            model[text] = None
            model.move_to_end(text)
            while len(model) > room:
                model.popitem(last=False)
        else:
            gets, found = gets + 1, cache.get(text)
            assert (found is not None) == (text in model)
            if found is not None:
                model.move_to_end(text)
                assert (found.truncated, found.tokens) == (number % 2 == 0, number)
                np.testing.assert_array_equal(found.vector, text_vector(text))
        report = cache.report()
        assert report.held_bytes <= max_bytes
        assert report.hits + report.misses == gets


@pytest.mark.parametrize("length", [1, 100, 5000])
def test_the_bound_is_one_of_real_memory(length):
    """Dictionaries and all; and no batch is kept alive for the sake of a row."""
    max_bytes = 2 * 2**20
    tracemalloc.start()
    try:
        cache = TextCache(max_bytes)
        before = tracemalloc.get_traced_memory()[0]
        most = 0
        for turn in range(40):
            batch = np.ones((200, 32), np.float32)
            for row, vector in enumerate(batch):
                cache.put(f"{turn:03d}{row:03d}" + "é" * length, Embedding(vector))
            del batch, vector
            most = max(most, tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    assert cache.report().held_bytes > 0.9 * max_bytes
    assert 0.5 * max_bytes < most <= max_bytes


asked = st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=12), min_size=1, max_size=12)


@settings(max_examples=30)
@given(asked=asked, callers=st.integers(1, 6), room=st.integers(0, 14))
def test_every_text_gets_its_own_embedding_whoever_asked_before(asked, callers, room):
    """Many callers and a small cache; text 7 fails, and no other does."""

    class Fragile(RecordingEncoder):
        def encode_texts(self, texts):
            if "text 7" in texts:
                raise RuntimeError("poisoned")
            return super().encode_texts(texts)

    def ask(numbers):
        return embed(engine, [Text(f"text {number}") for number in numbers])

    max_bytes = room * SMALL // 3
    config = {"text": BatchConfig(3, max_wait_s=0.001), "text_cache_bytes": max_bytes}
    with opened(Fragile(), **config) as engine, ThreadPoolExecutor(callers) as pool:
        for numbers, results in zip(asked, pool.map(ask, asked), strict=True):
            for number, result in zip(numbers, results, strict=True):
                if number == 7:
                    assert result.code == "encode_failed"
                else:
                    np.testing.assert_array_equal(result.vector, text_vector(f"text {number}"))
        report = engine.text_cache_report()
        assert report.held_bytes <= max_bytes
        assert report.hits + report.misses == sum(len(set(numbers)) for numbers in asked)
        sevens = sum(7 in numbers for numbers in asked)
        # Beside what was asked for, the encoder sees a plain text when nothing of a batch lives.
        passed = sum(size for _, size in engine._models["fake"].encoder.batches)
        assert 0 <= passed - (report.misses - sevens) <= sevens


def test_many_threads_at_once_lose_no_count_and_mix_nothing_up():
    """16 threads over 12 texts in room for 3: each moment one text comes and another goes."""
    cache, wrong = TextCache(SMALL), []
    texts = [f"text {number:02d}" for number in range(12)]
    vectors = {text: text_vector(text) for text in texts}

    def ask(seed):
        for turn in np.random.default_rng(seed).integers(0, len(texts), 2000):
            text = texts[turn]
            found = cache.get(text)
            if found is None:
                cache.put(text, Embedding(vectors[text]))
            elif not np.array_equal(found.vector, vectors[text]):
                wrong.append(text)

    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(ask, range(16)))
    finally:
        sys.setswitchinterval(before_s)
    report = cache.report()
    assert not wrong
    assert report.hits + report.misses == 16 * 2000
    assert report.held_bytes <= SMALL
