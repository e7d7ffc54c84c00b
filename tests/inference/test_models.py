"""Several models in one engine: one download, one decoding, a fair share of the device."""

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.batching.scheduler import Entry, Scheduler
from inference.config import BatchConfig, EngineConfig, FetchConfig, UrlConfig
from inference.engine.engine import Engine
from inference.errors import UnknownModel
from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from inference.profile.curve import Point, fit
from inference.stats import ItemTimes, StageTimes
from inference.types import Embeddings, Failure, ImageUrl, Target, Text
from model.backends.fake import FakeEncoder
from model.config import ModelConfig
from tests.images import png

pytestmark = pytest.mark.usefixtures("both_ways")

LOCAL = FetchConfig(UrlConfig(allow_hosts=("127.0.0.1",)))
DEFAULTS = EngineConfig()


class Salted(FakeEncoder):
    """Embeds as no other model does."""

    def __init__(self, name, **options):
        super().__init__(ModelConfig(name=name, backend="fake"), **options)
        self.name, self.closed = name, False

    def encode_texts(self, texts):
        return super().encode_texts([self.name + text for text in texts])

    def encode_images(self, pixels):
        salt = hashlib.sha256(self.name.encode()).digest()[0]
        return super().encode_images([one ^ salt for one in pixels])

    def close(self):
        self.closed = True


def opened(*names, config=DEFAULTS, **options):
    first, *others = names
    engine = Engine(Salted(first, **options), LOCAL, config)
    for name in others:
        engine.add(name, Salted(name, **options), config.image, config.text)
    return engine


def soon():
    return time.monotonic() + 30


def text_vector(model, text):
    return Salted(model).encode_texts([text])[0][0]


def image_vector(model, data):
    encoder = Salted(model)
    return encoder.encode_images(encoder.spec.preprocessing(data)[None])[0]


def test_one_download_and_one_decoding_serve_all_models():
    pictures = [png(seed=seed) for seed in range(6)]
    replies = {f"/{number}.png": Reply(data) for number, data in enumerate(pictures)}
    with ThumbnailServer(replies) as server, opened("designs", "components") as engine:
        items = [ImageUrl(server.url(path)) for path in replies]
        results = engine.embed(items, soon(), models=["designs", "components"]).results
        assert server.requests == 6
        assert engine.images_decoded == 6
        for data, result in zip(pictures, results, strict=True):
            assert list(result.by_model) == ["designs", "components"]
            for model, embedding in result.by_model.items():
                np.testing.assert_array_equal(embedding.vector, image_vector(model, data))


@settings(max_examples=20)
@given(
    asked=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c", ("a",), ("a", "b"), ("c", "a", "b")]),
            st.lists(st.integers(0, 9), min_size=1, max_size=8),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_every_item_is_embedded_by_its_own_models(asked):
    config = EngineConfig(image=BatchConfig(3, 0.001), text=BatchConfig(3, 0.001))
    with opened("a", "b", "c", config=config) as engine, ThreadPoolExecutor(8) as pool:

        def ask(models, numbers):
            items = [Text(str(number)) for number in numbers]
            return engine.embed(items, soon(), models=models).results

        for (models, numbers), results in zip(
            asked, pool.map(lambda one: ask(*one), asked), strict=True
        ):
            for number, result in zip(numbers, results, strict=True):
                found = result.by_model if isinstance(result, Embeddings) else {models: result}
                assert list(found) == list(models)
                for model, one in found.items():
                    np.testing.assert_array_equal(one.vector, text_vector(model, str(number)))
        assert engine.items_in_flight == 0


def test_the_failure_of_one_model_is_the_items_own():
    class Broken(Salted):
        def encode_texts(self, texts):
            if any("bad" in text for text in texts):
                raise RuntimeError("broken")
            return super().encode_texts(texts)

    with opened("good") as engine:
        engine.add("broken", Broken("broken"), BatchConfig(), BatchConfig())
        bad, fine = engine.embed(
            [Text("bad"), Text("fine")], soon(), models=["good", "broken"]
        ).results
        assert isinstance(bad, Failure)
        assert bad.code == "encode_failed"
        assert set(fine.by_model) == {"good", "broken"}
        assert engine.trouble() is None


def test_the_first_model_is_the_default_and_an_unknown_one_is_named():
    with opened("first", "second") as engine:
        (result,) = engine.embed([Text("a")], soon()).results
        np.testing.assert_array_equal(result.vector, text_vector("first", "a"))
        for models in ["third", ["first", "third"]]:
            with pytest.raises(UnknownModel, match="'third'; loaded models: first, second"):
                engine.embed([Text("a")], soon(), models=models)
    with (
        Engine(None, LOCAL, EngineConfig()) as engine,
        pytest.raises(UnknownModel, match="loaded models: none"),
    ):
        engine.embed([Text("a")], soon())


def test_a_model_leaves_when_what_it_accepted_is_answered():
    with opened("stays") as engine, ThreadPoolExecutor(4) as pool:
        leaving = Salted("leaves", fixed_s=0.02)
        engine.add("leaves", leaving, BatchConfig(2, 0.0), BatchConfig(2, 0.0))
        items = [Text(str(number)) for number in range(40)]
        asked = [pool.submit(engine.embed, items, soon(), models="leaves") for _ in range(3)]
        while not engine.report("text", "leaves").encode_s:
            time.sleep(0.001)
        engine.remove("leaves")
        assert leaving.closed
        for one in asked:
            for item, result in zip(items, one.result().results, strict=True):
                np.testing.assert_array_equal(result.vector, text_vector("leaves", item.text))
        with pytest.raises(UnknownModel):
            engine.embed(items, soon(), models="leaves")
        with pytest.raises(UnknownModel):
            engine.remove("leaves")
        assert len(engine.embed(items, soon(), models="stays").results) == 40


def test_models_come_and_go_under_load_and_nothing_is_lost_or_swapped():
    wrong, answered, stopping = [], [0], threading.Event()
    with opened("stays") as engine, ThreadPoolExecutor(6) as pool:

        def ask(seed):
            number = 0
            while not stopping.is_set():
                number += 1
                model = ("stays", "comes")[(seed + number) % 2]
                text = f"{seed}-{number}"
                try:
                    (result,) = engine.embed([Text(text)], soon(), models=model).results
                except UnknownModel:
                    continue
                answered[0] += 1
                if not np.array_equal(result.vector, text_vector(model, text)):
                    wrong.append((model, text, result))

        clients = [pool.submit(ask, seed) for seed in range(5)]
        for _ in range(30):
            engine.add("comes", Salted("comes"), BatchConfig(), BatchConfig())
            engine.embed([Text("warm")], soon(), models="comes")
            engine.remove("comes")
        stopping.set()
        for client in clients:
            client.result()
    assert not wrong
    assert answered[0] > 0


def entry(name):
    return Entry(name, ItemTimes(StageTimes()), lambda: True, lambda _: None, lambda: None)


def test_models_share_the_device_by_time_and_one_that_comes_back_has_no_claim():
    """One of 100 ms an item, one of 10: in 22 s of the device each has 11, in either order."""
    costs = {"slow": 0.1, "fast": 0.01}
    scheduler, now_s = Scheduler(0.2), 0.0
    for model, each_s in costs.items():
        curve = fit([Point(n, 1000 * each_s * n, 1000 * each_s * n) for n in (1, 2, 4, 8)])
        scheduler.add({Target(model, "text"): BatchConfig(4, 0.0, curve)})
    had = dict.fromkeys(costs, 0.0)

    def fill(model):
        for _ in range(8):
            scheduler.expect(Target(model, "text"), "bulk", now_s)
            scheduler.submit(Target(model, "text"), "bulk", entry(model), now_s)

    def serve_for(seconds, models):
        nonlocal now_s
        end_s = now_s + seconds
        while now_s < end_s:
            waiting = scheduler.waiting()
            for model in models:
                if waiting[Target(model, "text"), "bulk"] < 8:
                    fill(model)
            batch = scheduler.next(now_s)
            took_s = costs[batch.target.model] * len(batch.entries)
            scheduler.ran(batch, took_s)
            now_s += took_s
            had[batch.target.model] += took_s

    serve_for(22, ["slow", "fast"])
    assert had["slow"] == pytest.approx(11, abs=0.5)
    serve_for(30, ["slow"])
    had = dict.fromkeys(costs, 0.0)
    serve_for(22, ["slow", "fast"])
    assert had["slow"] == pytest.approx(11, abs=0.5)


def test_a_query_of_one_model_waits_for_one_short_batch_of_the_others_bulk():
    """However much of it there is: the bound is the wait that is allowed, 200 ms, and no more."""
    scheduler, now_s, waits_s = Scheduler(0.2), 0.0, []
    curve = fit([Point(n, 10.0 * n, 10.0 * n) for n in (1, 8, 64)])
    for model in ("busy", "asked"):
        scheduler.add({Target(model, "text"): BatchConfig(64, 0.0, curve)})
    busy, asked = Target("busy", "text"), Target("asked", "text")
    for _ in range(1000):
        scheduler.expect(busy, "bulk", now_s)
        scheduler.submit(busy, "bulk", entry("bulk"), now_s)
    for number in range(20):
        running = scheduler.next(now_s)
        # It comes just when a batch has begun.
        scheduler.expect(asked, "interactive", now_s)
        scheduler.submit(asked, "interactive", entry("query"), now_s)
        assert running.target == busy
        took_s = 0.01 * len(running.entries)
        scheduler.ran(running, took_s)
        batch = scheduler.next(now_s + took_s)
        assert (batch.target, batch.lane) == (asked, "interactive")
        scheduler.ran(batch, 0.01)
        now_s += took_s + 0.01
        if number:  # the first finds a batch that began when no query was about
            waits_s.append(took_s)
    assert max(waits_s) <= 0.2
