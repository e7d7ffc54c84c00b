"""The page of a benchmark."""

import re
from html.parser import HTMLParser

from inference.tuning.tune import TuneConfig, tune
from serve.benchmark.report.page import page


def tuned(times_s=lambda n: 0.02 + 0.002 * n, **config):
    now = [0.0]

    def run(n):
        now[0] += times_s(n)

    return tune(run, TuneConfig(**config), clock=lambda: now[0])


def test_the_page_stands_alone_and_shows_the_choice():
    found = tuned(latency_target_ms=60)
    html = page("A <title>", [({"machine": "a & b"}, {"image": found})])
    HTMLParser().feed(html)
    assert "A &lt;title&gt;" in html
    assert "a &amp; b" in html
    assert not re.search(r"(src|href)=", html)
    assert html.count("<svg") == 2
    assert f"sweet spot {found.spot.batch_size}" in html
    assert "target 60 ms" in html
    assert "T(n) = 20.0 + 2.00 n ms" in html


def test_every_mark_lies_inside_its_chart():
    html = page("x", [({}, {"image": tuned(), "text": tuned(lambda n: 0.5)})])
    for x, y in re.findall(r"cx='([\d.-]+)' cy='([\d.-]+)'", html):
        assert 0 <= float(x) <= 460
        assert 0 <= float(y) <= 300


def test_a_single_size_can_be_shown():
    assert "only batches of 4 were measured" in page(
        "x", [({}, {"image": tuned(sizes=(4,), refine=False)})]
    )


def test_several_runs_stand_below_each_other():
    html = page("x", [({"run": "one"}, {"image": tuned()}), ({"run": "two"}, {"image": tuned()})])
    assert html.index("run: one") < html.index("<svg") < html.index("run: two")
    assert html.count("<svg") == 4
