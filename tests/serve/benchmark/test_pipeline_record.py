"""What was found of the pipeline: the document, an older one beside it, and the page."""

import json
import re

import pytest

from inference.config import BatchConfig
from inference.profile.price import Price
from inference.profile.profile import Threads
from serve.benchmark.pipeline_stages.page import pipeline_page
from serve.benchmark.pipeline_stages.record import (
    Asked,
    Found,
    RoleSpent,
    check_same,
    compare,
    document,
)
from serve.benchmark.pipeline_stages.stages import Spent
from serve.benchmark.pipeline_stages.tables import notes, price_sentence, shared_sentence
from serve.plan import Plan
from tests.serve.benchmark.charts import charts
from tests.serve.benchmark.loads import load

PLAN = Plan(BatchConfig(16), BatchConfig(16), Threads(encoder=2, streams=1, decode=2, io=32))
SPENT = Spent(
    {"fetch": 0.05, "decode": 0.01, "encode": 0.009},
    {"fetch": 50.0, "decode": 10.0, "queue": 100.0, "encode": 144.0},
    mean_batch=15.5,
)


def found(images_s=100.0, spent=SPENT, **options):
    defaults = {
        "asked": Asked(report="page.html"),
        "on_cpu": True,
        "load": load(images_s),
        "processes": [RoleSpent("preprocess", 2, 4.0, 180.0)],
    }
    defaults |= {"before": [200.0, 210.0, 205.0], "after": [195.0, 190.0]}
    return Found(facts={"model": "m"}, plan=PLAN, spent=spent, **(defaults | options))


def test_the_price_is_of_the_whole_pipeline_beside_that_of_the_encoder():
    """At 0.36 an hour a second costs 0.0001: 100 images a second cost 1 a million, 200 half."""
    priced = found(asked=Asked(price=Price(0.36)))
    assert price_sentence(priced) == (
        "a million images cost 1.00, at 4.0 core-ms an image; the encoder alone would cost 0.500"
    )
    assert document(priced)["price"]["per_million_images"] == 1.0
    assert document(priced)["core_ms"] == 4.0
    assert "a million images cost 1.00" in pipeline_page(priced).replace("A million", "a million")
    assert price_sentence(found()) == ""
    assert document(found())["price"] is None


def test_the_document_has_the_plan_the_stages_and_the_encoder_alone():
    one = json.loads(json.dumps(document(found())))
    assert (one["benchmark"], one["complete"]) == ("pipeline", True)
    assert one["pipeline"]["items_per_s"] == 100.0
    assert one["pipeline"]["mean_batch"] == 15.5
    assert one["plan"]["threads"]["decode"] == 2
    assert [(stage["name"], stage["busy"]) for stage in one["stages"]] == [
        ("fetch", 0.156), ("decode", 0.5), ("queue", None), ("encode", 0.9),
    ]  # fmt: skip
    assert one["encoder_alone"]["items_per_s"] == 200.0
    assert one["ratio"] == 0.5
    assert "the encoder limits" in one["limit"]
    assert one["limited_by"] == ["encode"]
    assert one["asked"]["mix"] == "thumbnails"
    assert "report" not in one["asked"]


def test_an_encoder_that_shares_its_cores_is_said_to():
    assert "shares its cores with fetching, decoding" in shared_sentence(found())
    assert shared_sentence(found(on_cpu=False)) == ""
    assert shared_sentence(found(before=[100.0], after=[100.0])) == ""


def test_an_encoder_that_drifted_is_said_to_have():
    assert notes(found()) == []
    (note,) = notes(found(after=[300.0]))
    assert note.startswith("the encoder alone differs by 46%")


def test_an_older_one_is_compared_by_images_a_second():
    rows, ratio = compare(document(found(80.0)), found(100.0))
    assert ratio == 1.25
    assert rows.rows[0] == ("pipeline", "80.0", "100.0", "1.250")


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ({}, "not a document"),
        ({"asked": 3}, "not a document"),
        ({"asked": {"mix": "small"}}, "measured with --mix small, this is thumbnails"),
    ],
)
def test_another_load_is_not_compared_with(old, words):
    with pytest.raises(ValueError, match=words):
        check_same(old, Asked())


@pytest.mark.parametrize("spoilt", [{"pipeline": None}, {"encoder_alone": {"items_per_s": 0}}])
def test_what_has_no_numbers_is_not_compared_with(spoilt):
    with pytest.raises(ValueError, match=r"not a document|nothing was measured"):
        compare(document(found()) | spoilt, found())


def test_the_page_stands_alone_and_shows_each_stage_and_what_limits():
    html = pipeline_page(found())
    ((title, speeds),) = charts(html)
    assert title == "Images a second"
    assert [(one["name"], one["value"]) for one in speeds["bars"]] == [
        ("pipeline", 100.0), ("encoder alone", 200.0),
    ]  # fmt: skip
    assert re.findall(r"<li class='(\w*)'><b>(\w+)</b>", html) == [
        ("", "fetch"), ("", "decode"), ("", "queue"), ("limits", "encode"),
    ]  # fmt: skip
    assert "144.0 ms an image, 47% of its time" in html
    assert "0.5 of what the encoder makes alone; the encoder limits" in html


def test_an_interrupted_one_is_marked_even_when_nothing_was_measured():
    empty = load(0.0, requests=0, complete=False)
    one = found(spent=Spent(), load=empty, after=[], complete=False)
    assert "interrupted: partial" in notes(one)[0]
    assert document(one)["limit"] == "nothing was measured"
    assert document(one)["limited_by"] == []
    assert "0.0* images/s" in pipeline_page(one)
