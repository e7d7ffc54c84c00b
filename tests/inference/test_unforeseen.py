"""Whose fault it is: what no item can cause has a code of its own, and is logged once a kind."""

import errno
import logging
from dataclasses import replace

import pytest
from PIL import Image, ImageFile
from prometheus_client.parser import text_string_to_metric_families

from inference.types import Embedding, Failure, ImageBytes, Text
from model.backends.fake import FakeEncoder
from model.images import resize
from model.images.preprocess import preprocess
from serve.observe.metrics import Metrics
from tests.images import png
from tests.inference.test_engine import embed, opened


class Encoder(FakeEncoder):
    """The fake one, with pictures resized by torch, as for the others."""

    @property
    def spec(self):
        spec = super().spec
        return replace(spec, preprocessing=replace(spec.preprocessing, light=False))


def failing(error):
    def fail(*_, **__):
        raise error

    return fail


PLACES = {
    "no torch": (resize, "resize", ModuleNotFoundError("No module named 'torch'")),
    "a bug in our resize": (resize, "suits", IndexError("list index out of range")),
    "no memory": (ImageFile.ImageFile, "load", MemoryError()),
    "no file handles": (Image, "open", OSError(errno.EMFILE, "Too many open files")),
    "no codec": (ImageFile.ImageFile, "load", ImportError("_webp is not installed")),
}


@pytest.mark.parametrize(("where", "name", "error"), PLACES.values(), ids=PLACES)
def test_what_no_picture_can_cause_is_not_said_of_it(monkeypatch, caplog, where, name, error):
    monkeypatch.setattr(where, name, failing(error))
    with pytest.raises(type(error)):
        preprocess(png(), 32)
    pictures = [ImageBytes(png(seed=n)) for n in range(5)]
    with opened(Encoder()) as engine:
        *failed, text = embed(engine, [*pictures, Text("a form")])
        failed += embed(engine, pictures)
    assert {(one.code, one.retryable) for one in failed} == {("internal", True)}
    assert str(error) not in failed[0].message or not str(error)
    assert isinstance(text, Embedding)
    (said,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert said.exc_info[1] is error


def test_kinds_differ_by_type_and_place(monkeypatch, caplog):
    with opened(Encoder()) as engine:
        for error in [ImportError("a"), MemoryError(), ImportError("b")]:
            monkeypatch.setattr(resize, "resize", failing(error))
            embed(engine, [ImageBytes(png())])
    assert [type(one.exc_info[1]) for one in caplog.records] == [ImportError, MemoryError]


@pytest.mark.parametrize("error", [OSError("broken data stream"), SyntaxError("x"), KeyError(7)])
def test_what_pillow_says_of_data_is_the_pictures_fault(monkeypatch, caplog, error):
    monkeypatch.setattr(ImageFile.ImageFile, "load", failing(error))
    with opened(Encoder()) as engine:
        (failed,) = embed(engine, [ImageBytes(png())])
    assert (failed.code, failed.retryable) == ("decode_corrupt", False)
    assert not caplog.records


def test_the_code_is_counted(monkeypatch):
    monkeypatch.setattr(resize, "resize", failing(ImportError("torch")))
    with opened(Encoder()) as engine:
        results = embed(engine, [ImageBytes(png())])
        metrics = Metrics(lambda: engine)
        failed = {one.code: 1 for one in results if isinstance(one, Failure)}
        metrics.results("bulk", results, failed)
        samples = [
            sample
            for family in text_string_to_metric_families(metrics.render().decode())
            for sample in family.samples
        ]
    counted = [one for one in samples if one.labels.get("code") == "internal"]
    assert [one.value for one in counted if one.name == "sweetspot_items_total"] == [1]
