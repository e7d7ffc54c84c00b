"""The batcher's threads: results are handed over beside the next forward pass, and all of them."""

import threading
from contextlib import contextmanager

from inference.batching.batcher import Batcher
from inference.batching.scheduler import Entry
from inference.config import BatchConfig, EngineConfig
from inference.stalls import Stalls
from inference.stats import ItemTimes, StageTimes
from inference.types import Target
from model.backends.fake import FakeEncoder

TEXT = Target("m", "text")
LONG_S = 10.0


class Telling(FakeEncoder):
    """Tells when it embeds each text."""

    def __init__(self):
        super().__init__()
        self.embedding = {text: threading.Event() for text in ("first", "second")}

    def encode_texts(self, texts):
        for text in texts:
            self.embedding[text].set()
        return super().encode_texts(texts)


@contextmanager
def opened(encoder):
    batcher = Batcher(EngineConfig(streams=1), Stalls(LONG_S))
    batcher.add("m", encoder, {"image": BatchConfig(1), "text": BatchConfig(1)})
    try:
        yield batcher
    finally:
        batcher.close()


def submit(batcher, text, done):
    entry = Entry(text, ItemTimes(StageTimes()), lambda: True, done, lambda: None)
    batcher.expect(TEXT, "bulk")
    batcher.submit(TEXT, "bulk", entry)


def test_a_stream_embeds_the_next_batch_while_results_are_handed_over():
    encoder, seen = Telling(), []
    with opened(encoder) as batcher:
        submit(batcher, "first", lambda _: seen.append(encoder.embedding["second"].wait(LONG_S)))
        encoder.embedding["first"].wait(LONG_S)
        submit(batcher, "second", lambda _: seen.append("second"))
    assert seen == [True, "second"]


def test_a_model_is_removed_and_the_batcher_closed_only_after_the_last_result():
    for end in (Batcher.close, lambda batcher: batcher.remove("m")):
        encoder, may_end, handed_over = Telling(), threading.Event(), []

        def done(_, may_end=may_end, handed_over=handed_over):
            may_end.wait(LONG_S)
            handed_over.append("first")

        with opened(encoder) as batcher:
            submit(batcher, "first", done)
            encoder.embedding["first"].wait(LONG_S)
            ended = threading.Thread(target=end, args=(batcher,))
            ended.start()
            may_end.set()
            ended.join()
            assert handed_over == ["first"]


def test_a_batch_is_told_before_its_results_are_handed_over():
    seen = []
    with opened(FakeEncoder()) as batcher:
        batcher.watch = seen.append
        submit(batcher, "first", seen.append)
    told, result = seen
    assert [entry.payload for entry in told.batch.entries] == ["first"]
    assert told.results == [result]
    assert told.start_s <= told.end_s


def test_a_thread_that_cannot_hand_over_results_is_trouble(monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    with opened(Telling()) as batcher:
        assert batcher.trouble() is None
        submit(batcher, "first", lambda _: 1 / 0)
        batcher._finisher.join(LONG_S)
        assert batcher.trouble() == "a batching thread has died"
