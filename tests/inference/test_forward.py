"""Forward passes that fail: whoever is to blame is found, and the others live."""

import math
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.batching.forward import Forward
from inference.config import BatchConfig
from inference.types import Embedding, ImageBytes, Text
from model.backends.fake import FakeEncoder
from model.errors import OutOfMemory
from tests.images import png
from tests.inference.test_engine import embed, image_vector, opened, soon, text_vector


class Poisoned(FakeEncoder):
    """Fails with every batch that holds a text or an image of `poison`."""

    def __init__(self, poison):
        super().__init__()
        self.poison = set(poison)
        self.passes = 0

    def encode_texts(self, texts):
        self.passes += 1
        if self.poison & set(texts):
            raise RuntimeError("poisoned")
        return super().encode_texts(texts)


@given(size=st.integers(1, 64), poison=st.sets(st.integers(0, 63), max_size=5))
def test_only_those_to_blame_fail_and_few_passes_find_them(size, poison):
    texts = [str(number) for number in range(size)]
    blamed = {str(number) for number in poison if number < size}
    encoder = Poisoned(blamed)
    results = Forward(encoder, lambda tower, most: None).run("text", texts)
    for text, result in zip(texts, results, strict=True):
        if text in blamed:
            assert (result.code, result.retryable) == ("encode_failed", True)
            assert "poison" not in result.message
        else:
            np.testing.assert_array_equal(result.vector, text_vector(text))
    # One more: whether a plain text can be embedded, when nothing else could.
    assert encoder.passes <= 1 + 2 * len(blamed) * math.ceil(math.log2(size) if size > 1 else 0) + 1


class Small(FakeEncoder):
    """A device whose memory holds batches of `most`."""

    def __init__(self, most):
        super().__init__()
        self.most = most
        self.tried = []

    def encode_images(self, pixels):
        self.tried.append(len(pixels))
        if len(pixels) > self.most:
            raise OutOfMemory("does not fit")
        return super().encode_images(pixels)


def test_a_batch_that_does_not_fit_is_halved_and_later_ones_are_small_from_the_start():
    encoder = Small(most=3)
    items = [ImageBytes(png(seed=seed)) for seed in range(16)]
    with opened(encoder, image=BatchConfig(8, max_wait_s=30.0)) as engine:
        for item, result in zip(items, embed(engine, items), strict=True):
            np.testing.assert_array_equal(result.vector, image_vector(item.data))
        assert engine.report("image").limit == 2
        assert engine.trouble() is None
        encoder.tried.clear()
        embed(engine, items)
        assert max(encoder.tried) <= 2


def test_an_embedding_with_a_nan_is_a_failure_of_its_item():
    class Overflowing(FakeEncoder):
        def encode_texts(self, texts):
            vectors, lengths = super().encode_texts(texts)
            vectors[[text == "long" for text in texts], 0] = math.nan
            return vectors, lengths

    good, bad = Forward(Overflowing(), lambda tower, most: None).run("text", ["a", "long"])
    assert isinstance(good, Embedding)
    assert (bad.code, bad.retryable) == ("encode_failed", True)


@pytest.mark.parametrize("item", [Text("b"), ImageBytes(png())])
def test_an_encoder_that_fails_on_everything_is_trouble(item):
    class Broken(FakeEncoder):
        def encode_texts(self, texts):
            raise RuntimeError("device lost")

        encode_images = encode_texts

    with opened(Broken()) as engine:
        assert embed(engine, [item])[0].code == "encode_failed"
        assert engine.trouble() == "the encoder fails on everything"


def test_a_request_of_nothing_but_poison_is_no_trouble():
    with opened(Poisoned({"x", "y"})) as engine:
        assert [one.code for one in embed(engine, [Text("x"), Text("y")])] == ["encode_failed"] * 2
        assert engine.trouble() is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_batching_thread_that_died_is_trouble():
    class Deadly(FakeEncoder):
        def encode_texts(self, texts):
            raise SystemExit

    with opened(Deadly()) as engine:
        late = engine.embed([Text("a")], time.monotonic() + 0.05).results[0]
        assert late.code == "deadline_exceeded"
        for thread in engine._batcher._threads:
            thread.join(30)
        assert engine.trouble() == "a batching thread has died"


def test_what_hangs_is_trouble_until_it_ends():
    hold = threading.Event()
    slow = FakeEncoder(fixed_s=1.0, sleep=lambda _: hold.wait(30) and None)
    with opened(slow, stall_s=0.0) as engine:
        assert engine.trouble() is None
        late = engine.embed([Text("a")], time.monotonic() + 0.05).results[0]
        assert late.code == "deadline_exceeded"
        assert engine.trouble() == "a forward pass of 1 texts has taken more than 0 s"
        hold.set()
        engine.embed([Text("b")], soon())
        assert engine.trouble() is None
