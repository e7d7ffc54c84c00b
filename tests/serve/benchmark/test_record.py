"""What was found as a document, and against an older one."""

import json

import pytest

from serve.benchmark.endpoint_load.interactive import Interactive
from serve.benchmark.endpoint_load.load_cells import recommend
from serve.benchmark.endpoint_load.record import Asked, Found, compare, document
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
