"""Which setting a sweep names, and its document."""

import json

import pytest

from inference.profile.price import Price
from serve.benchmark.endpoint_load.interactive import Interactive
from serve.benchmark.endpoint_load.record import Asked
from serve.benchmark.query_sweep.record import Found, Setting, Sweep, choose, document
from serve.benchmark.query_sweep.tables import idle_sentence, setting_rows
from tests.serve.benchmark.loads import load


def setting(wait_ms, text_ms, screenshot_ms=150.0, images_s=50.0, **options):
    """Bulk alone makes 60 images a second in the median of three turns."""
    queries = Interactive(1.0, 16, 4)
    for alone in (60.0, 30.0, 90.0):
        queries.alone.append(load(alone))
        singles = {"text": load(p95_ms=text_ms, **options), "screenshot": load(1, screenshot_ms)}
        queries.beside.append({"bulk": load(images_s)} | singles)
    return Setting(wait_ms, queries)


CURVE = [
    setting(50, 70.0, images_s=45.0),
    setting(100, 115.0, images_s=54.0),
    setting(200, 200.0, 260.0, images_s=57.0),
]


def found(settings=CURVE, target_ms=120.0, **options):
    asked = Sweep((50, 100, 200), target_ms, ("--precision", "int8"), Asked(**options))
    return Found(asked, {"machine": "m"}, {"name": "n"}, settings, {"text": load(p95_ms=18.0)})


def test_the_largest_setting_that_keeps_the_target_is_named():
    choice = choose(CURVE, 120)
    assert choice.wait_ms == 100
    assert choice.sentence == (
        "take --interactive-wait-ms 100: texts have a p95 of 115 ms, screenshots 150 ms, "
        "bulk keeps 0.90; the largest that keeps texts within a p95 of 120 ms"
    )


@pytest.mark.parametrize(
    ("settings", "target_ms", "words"),
    [
        (
            CURVE,
            60,
            "within a p95 of 60 ms; the quickest is 50: texts have a p95 of 70",
        ),
        (CURVE, None, "say which p95 texts need, --query-target-ms"),
        ([], 120, "none was measured"),
        ([Setting(50, Interactive(1.0, 16, 4))], 120, "none was measured"),
    ],
)
def test_without_a_fitting_setting_none_is_named(settings, target_ms, words):
    choice = choose(settings, target_ms)
    assert choice.wait_ms is None
    assert words in choice.sentence


def test_a_setting_that_loses_queries_is_not_named():
    lossy = setting(100, 115.0, errors={"timeout": 1})
    assert choose([CURVE[0], lossy], 120).wait_ms == 50


def test_rows_name_what_bulk_keeps_and_costs():
    rows = setting_rows(found(price=Price(0.36)))
    assert rows.head[-2:] == ("keeps", "price of a million")
    assert [row[-2:] for row in rows.rows] == [("0.75", "2.22"), ("0.90", "1.85"), ("0.95", "1.75")]
    assert rows.best == 1
    assert setting_rows(found()).head[-1] == "keeps"
    assert idle_sentence(found()) == "alone, at p95: a text 18 ms"


def test_the_document_has_each_setting_and_what_was_asked():
    one = json.loads(json.dumps(document(found(price=Price(0.36)))))
    assert one["benchmark"] == "interactive_sweep"
    assert [it["interactive_wait_ms"] for it in one["settings"]] == [50, 100, 200]
    assert one["settings"][1]["text"]["beside_bulk"]["p95_ms"] == 115
    assert one["settings"][1]["bulk"]["share"] == 0.9
    assert one["settings"][1]["per_million_images"] == 1.852
    assert one["recommendation"]["wait_ms"] == 100
    assert one["asked"]["serve_options"] == ["--precision", "int8"]
