"""One item after another, each told to a callback once; given up by whoever watches the clock."""

import threading
import time
from queue import SimpleQueue

import pytest

from inference.config import EngineConfig
from inference.engine.engine import Engine
from inference.errors import Overloaded
from inference.types import Embedding, Failure, ImageUrl, Text
from model.backends.fake import FakeEncoder
from tests.inference.test_engine import PATIENT, wait_for

pytestmark = pytest.mark.usefixtures("both_ways")


def opened(encoder=None, **config):
    return Engine(encoder or FakeEncoder(), PATIENT, EngineConfig(**config))


def later():
    return time.monotonic() + 60


def test_each_item_is_told_once_and_a_known_text_at_once():
    told = SimpleQueue()
    with opened() as engine:
        for text in ("a", ""):
            engine.submit(Text(text), later(), told.put)
        found = [told.get(timeout=60), told.get(timeout=60)]
        assert sorted(type(one).__name__ for one in found) == ["Embedding", "Failure"]
        engine.submit(Text("a"), later(), told.put)
        assert isinstance(told.get_nowait(), Embedding)
        wait_for(lambda: engine.items_in_flight == 0)
    assert told.empty()


def test_an_item_that_is_given_up_is_late_and_told_no_second_time(gated_server):
    told = SimpleQueue()
    with opened() as engine:
        request = engine.submit(ImageUrl(gated_server.url("/gate")), later(), told.put)
        assert gated_server.reached.wait(60)
        request.give_up()
        request.give_up()
        late = told.get_nowait()
        assert isinstance(late, Failure)
        assert late.code == "deadline_exceeded"
        gated_server.gate.set()
        wait_for(lambda: engine.items_in_flight == 0)
        assert told.empty()


def test_an_item_without_a_permit_is_refused_and_holds_no_model():
    hold, told = threading.Event(), SimpleQueue()
    encoder = FakeEncoder(fixed_s=1.0, sleep=lambda _: hold.wait(60) and None)
    with opened(encoder, max_items_in_flight=1, window=1) as engine:
        engine.submit(Text("a"), later(), told.put)
        with pytest.raises(Overloaded):
            engine.submit(Text("b"), later(), told.put)
        hold.set()
        assert isinstance(told.get(timeout=60), Embedding)
        engine.remove("fake")
