"""What was found as a document, and against an older one."""

import json
from dataclasses import replace

import pytest

from inference.profile.price import Price
from serve.benchmark.endpoint_load.interactive import Interactive
from serve.benchmark.endpoint_load.load_cells import recommend
from serve.benchmark.endpoint_load.page import endpoint_page
from serve.benchmark.endpoint_load.record import Asked, Found, compare, document
from serve.benchmark.endpoint_load.tables import bulk_sentence, cell_rows, price_sentence
from tests.serve.benchmark.loads import cell, load


def found(cells, interactive=None, **options):
    asked = Asked(url="http://localhost:8080", report="page.html")
    return Found(asked, {"model": "m"}, cells, recommend(cells), interactive, **options)


def interactive():
    one = Interactive(4.0, 16, 2)
    one.idle |= {"text": load(p95_ms=5.0), "screenshot": load(p95_ms=10.0)}
    for bulk_s, text_ms in ((90.0, 10.0), (80.0, 20.0), (85.0, 10.0)):
        one.alone.append(load(100.0))
        singles = {"text": load(p95_ms=text_ms), "screenshot": load(p95_ms=15.0)}
        one.beside.append({"bulk": load(bulk_s)} | singles)
    return one


def test_one_text_a_second_is_singular():
    one = interactive()
    assert "beside 4 texts and 4 screenshots a second" in bulk_sentence(one)
    one.rate_per_s = 1.0
    assert "beside 1 text and 1 screenshot a second" in bulk_sentence(one)


def test_the_document_is_json_with_raw_numbers_and_what_was_asked():
    one = json.loads(json.dumps(document(found([cell(4, 2, 123.4567)]))))
    assert one["cells"][0]["items_per_s"] == 123.457
    assert one["cells"][0]["latencies_ms"] == [50.0] * 20
    assert one["asked"]["url"] == "http://localhost:8080"
    assert "report" not in one["asked"]
    assert one["recommendation"]["cell"] == {"batch": 4, "concurrency": 2, "rate_per_s": None}
    assert one["interactive"] is None


def test_an_interrupted_one_says_so_even_when_it_is_empty():
    one = document(found([], Interactive(4.0, 1, 1), complete=False))
    assert one["complete"] is False
    assert one["recommendation"]["cell"] is None
    assert one["interactive"]["text"]["slowdown"] is None


def test_single_requests_are_compared_by_their_medians():
    part = document(found([cell(4, 2)], interactive()))["interactive"]
    assert part["text"]["alone"]["p50_ms"] == 5.0
    assert part["text"]["beside_bulk"]["requests"] == 60
    assert part["text"]["slowdown"] == 2.0
    assert part["screenshot"]["slowdown"] == 1.5
    assert part["bulk"]["share"] == 0.85
    assert [turn["items_per_s"] for turn in part["bulk"]["beside"]] == [90.0, 80.0, 85.0]


def test_prices_are_of_each_combination_and_of_the_bulk_that_queries_displace():
    """At 0.36 an hour a second costs 0.0001, so a million images at 100 a second cost 1.

    Queries take 15 % of the time of bulk, 8 of them a second: a million displace 1.875.
    """
    asked = Asked(price=Price(0.36), latency_target_ms=60)
    cells = [cell(1, 1, 50.0), replace(cell(4, 2, 100.0), core_ms=31.04)]
    one = Found(asked, {}, cells, recommend(cells, 60), interactive())
    assert [row[-2:] for row in cell_rows(one).rows] == [("-", "2.00"), ("31.0", "1.00")]
    assert price_sentence(one) == (
        "a million images cost 1.00 as recommended, within a p95 of 60 ms; "
        "a million texts alone, one at a time, 1.00; "
        "a million screenshots alone, one at a time, 1.00; "
        "beside bulk, a million queries displace bulk for 1.88"
    )
    assert document(one)["price"] == {
        "per_hour": 0.36, "instance_type": None, "per_million_images": 1.0,
        "per_million_texts": 1.0, "per_million_screenshots": 1.0,
        "per_million_queries_beside_bulk": 1.875,
    }  # fmt: skip
    assert "cost 1.00 as recommended" in endpoint_page(one)


def test_without_a_price_nothing_is_said_of_it():
    one = found([cell(4, 2)], interactive())
    assert price_sentence(one) == ""
    assert document(one)["price"] is None


def test_cells_are_compared_with_their_own_and_the_best_of_then_is_marked():
    old = document(found([cell(1, 1, 50.0), cell(4, 2, 200.0), cell(64, 1, 999.0)]))
    rows = compare(old, [cell(1, 1, 100.0), cell(4, 2, 150.0), cell(16, 1, 10.0)])
    assert [(one.label, one.ratio, one.is_best) for one in rows] == [
        ("1 x 1", 2.0, False),
        ("4 x 2", 0.75, True),
    ]


def test_the_spread_is_of_latencies():
    old = document(found([cell(1, 1, latencies_ms=(10.0,) * 18 + (15.0,) * 2)]))
    (row,) = compare(old, [cell(1, 1)])
    assert row.spreads == (0.5, 0.0)


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ({"cells": []}, "none of the combinations"),
        ({"cells": [{"batch": 1}]}, "not a document"),
        ({}, "not a document"),
        ({"cells": 3}, "not a document"),
    ],
)
def test_what_cannot_be_compared_with_is_refused(old, words):
    with pytest.raises(ValueError, match=words):
        compare(old, [cell(1, 1)])
