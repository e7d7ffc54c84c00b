"""The rows of `sweetspot embed`: in order, each once, bounded, whatever ends them."""

import json
import threading
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.config import EngineConfig
from inference.engine.engine import Engine
from inference.types import Embedding
from model.backends.fake import FakeEncoder
from serve.commands import signals
from serve.commands.embed.command import Asked, write
from serve.commands.embed.flow import WINDOW, EncoderGone, rows
from serve.commands.embed.inputs import Source
from serve.commands.embed.order import InOrder
from tests.e2e.faulty import DIES, Encoder
from tests.inference.test_engine import LOCAL, PATIENT, wait_for

MISSING = Source("image", "nosuch.png")


@pytest.fixture(autouse=True)
def _handlers():
    """A run sets handlers of signals; those of pytest come back."""
    with signals.guarded():
        yield


def opened(encoder=None, fetch=LOCAL, **config):
    return Engine(encoder or FakeEncoder(), fetch, EngineConfig(**config))


@given(st.data())
def test_what_comes_in_any_order_is_given_on_in_order_each_once(data):
    """With a window, as many are held back at most as fit into it beside the one awaited."""
    count, window = data.draw(st.integers(0, 40)), data.draw(st.integers(1, 10))
    ordered, given_on, under_way, held = InOrder(), [], [], set()
    while len(given_on) < count:
        newest = min(count, len(given_on) + window)
        under_way = [index for index in range(len(given_on), newest) if index not in held]
        index = data.draw(st.sampled_from(under_way))
        held.add(index)
        given_on += ordered.put(index, str(index))
        held -= set(range(len(given_on)))
        assert ordered.given == len(given_on)
        assert len(held) < window
    assert given_on == [str(index) for index in range(count)]


def test_a_slow_item_stops_no_other_until_the_window_is_full(gated_server):
    consumed = []

    def sources():
        yield Source("image", gated_server.url("/gate"))
        for index in range(3 * WINDOW):
            consumed.append(index)
            yield Source("image", f"nosuch-{index}.png")

    def open_the_gate():
        wait_for(lambda: len(consumed) == WINDOW, 60)
        wait_for(lambda: engine.items_in_flight == 1, 60)
        opened_when_full.set()
        gated_server.gate.set()

    opened_when_full = threading.Event()
    with opened(fetch=PATIENT) as engine, closing(rows(engine, sources(), 60)) as found:
        opener = threading.Thread(target=open_the_gate)
        opener.start()
        group = next(found)
        assert opened_when_full.is_set()
        assert isinstance(group[0].result, Embedding)
        indices = []
        while group:
            indices += [row.index for row in group]
            assert len(consumed) <= len(indices) + WINDOW + 1
            group = next(found, [])
        assert indices == list(range(3 * WINDOW + 1))
        assert len(consumed) == 3 * WINDOW
        opener.join()


def test_sources_that_break_off_end_the_rows_after_those_before(tmp_path):
    def sources():
        yield from [MISSING] * 10
        raise ZeroDivisionError

    with opened() as engine, closing(rows(engine, sources(), 60)) as found:
        indices = []
        with pytest.raises(ZeroDivisionError):
            indices.extend(row.index for group in found for row in group)
    assert indices == list(range(10))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_encoder_that_is_gone_ends_the_rows():
    taken = threading.Event()

    def sources():
        yield MISSING
        taken.wait(60)
        yield Source("text", DIES)
        yield from [MISSING] * 5

    with opened(Encoder()) as engine, closing(rows(engine, sources(), 0.5)) as found:
        next(found)
        taken.set()
        with pytest.raises(EncoderGone, match="a batching thread has died"):
            list(found)


@pytest.mark.parametrize("done", [0, 1, 5])
def test_an_error_that_nobody_foresaw_keeps_the_lines_that_are_done(tmp_path, done):
    path = tmp_path / "out.jsonl"
    path.write_text("old")
    failure = ZeroDivisionError()

    def broken(groups):
        yield from groups
        raise failure

    with opened() as engine:
        made = list(rows(engine, iter([MISSING] * done), 60))
    asked = Asked((), (), "jsonl", str(path))
    if done:
        assert write(broken(made), asked, 16) is failure
        assert [json.loads(line)["index"] for line in path.read_text().splitlines()] == list(
            range(done)
        )
    else:
        with pytest.raises(ZeroDivisionError):
            write(broken(made), asked, 16)
        assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
