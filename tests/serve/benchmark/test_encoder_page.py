"""The page of an encoder."""

import pytest

from inference.profile.price import Price
from inference.tuning.tune import TuneConfig, tune
from serve.benchmark.encoder_sizes.page import encoder_page
from serve.benchmark.encoder_sizes.prices import price_document, price_rows, price_sentence
from tests.serve.benchmark.charts import charts


def tuned(times_s=lambda n: 0.02 + 0.002 * n, **config):
    now = [0.0]

    def run(n):
        now[0] += times_s(n)

    return tune(run, TuneConfig(**config), clock=lambda: now[0])


def latency(found):
    (_, data), _ = charts(encoder_page([({}, {"image": found})]))
    return data


def by_name(data):
    return {one["name"]: one["points"] for one in data["series"]}


def test_the_page_stands_alone_and_shows_the_choice():
    found = tuned(latency_target_ms=60)
    html = encoder_page([({"machine": "a & b"}, {"image": found})])
    assert "a &amp; b" in html
    assert [title for title, _ in charts(html)] == ["Latency of a batch", "Throughput"]
    for _, data in charts(html):
        assert f"sweet spot {found.spot.batch_size}" in [rule["label"] for rule in data["rules"]]
    assert "target 60 ms" in [rule["label"] for rule in latency(found)["rules"]]
    assert "T(n) = 20.0 + 2.00 n ms" in html
    assert f"Sweet spot: batches of {found.spot.batch_size}, " in html


def test_prices_follow_from_the_images_a_second_of_each_size():
    """Batches of n take 10 + 10 n ms; at 0.36 an hour, a second costs 0.0001."""
    found = tuned(lambda n: 0.01 + 0.01 * n, sizes=(1, 4, 9), refine=False)
    rows = price_rows(found, Price(0.36), cores=2).rows
    assert [row[-2:] for row in rows] == [("40.00", "2.00"), ("25.00", "1.25"), ("22.22", "1.11")]
    assert [row[-2] for row in price_rows(found, Price(0.36), cores=None).rows] == ["-"] * 3
    said = "a million texts cost 1.11 in batches of 9; 2.00 in batches of 1"
    assert price_sentence("text", found, Price(0.36)) == said
    assert price_document({"text": found}, Price(0.36))["per_million_texts"] == 1.1111
    assert said[2:] in encoder_page([({}, {"text": found})], Price(0.36), 2)
    assert "price of a million" not in encoder_page([({}, {"text": found})])


def test_both_axes_of_latency_are_logarithmic_and_hover_tells_the_range():
    data = latency(found := tuned())
    assert data["x"]["scale"] == data["y"]["scale"] == "log"
    first, point = by_name(data)["measured, p50 to p95"][0], found.curve.points[0]
    assert (first["x"], first["low"], first["high"]) == (point.n, point.p50_ms, point.p95_ms)
    assert f"p50 {point.p50_ms:.1f} ms, p95 {point.p95_ms:.1f} ms" in first["said"]


def test_two_pieces_meet_at_the_knee_and_slope_1_ends_at_the_largest_size():
    found = tuned(lambda n: max(0.1, 0.01 * n))
    data = latency(found)
    (knee,) = [rule["x"] for rule in data["rules"] if rule["label"].startswith("knee")]
    flat, linear = by_name(data)["before the knee"], by_name(data)["from it on: a + b n"]
    assert flat[0]["x"] == found.curve.points[0].n
    assert flat[-1] == linear[0]
    assert linear[0]["x"] == knee == found.curve.knee
    guide = by_name(data)["slope 1: no gain"]
    assert guide[-1]["y"] == linear[-1]["y"]
    assert guide[0]["y"] / guide[0]["x"] == pytest.approx(guide[1]["y"] / guide[1]["x"])


def test_one_piece_has_no_knee():
    data = latency(tuned())
    assert "before the knee" not in by_name(data)
    assert [rule["label"] for rule in data["rules"] if "knee" in rule["label"]] == []


def test_a_single_size_is_a_sentence():
    html = encoder_page([({}, {"image": tuned(sizes=(4,), refine=False)})])
    assert charts(html) == []
    assert "only batches of 4 were measured" in html


def test_several_runs_stand_below_each_other():
    runs = [({"run": "one"}, {"image": tuned()}), ({"run": "two"}, {"image": tuned()})]
    html = encoder_page(runs, advice=["take one: the fastest", "two: 1.2 x as fast"])
    assert html.index("Take one: the fastest.") < html.index("Two: 1.2 x as fast.")
    assert html.index("Two: 1.2 x as fast.") < html.index("image tower")
    assert html.index("run: <b>one") < html.index("<figure") < html.index("run: <b>two")
    assert len(charts(html)) == 4
