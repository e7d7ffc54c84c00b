"""Charts as data, and the page around them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.benchmark.report.figures import Axis, Bar, Point, Sample, Series, bars, chart, strips
from serve.benchmark.report.page import document, lead, section, side_by_side, table, warning
from serve.benchmark.report.table_rows import Rows
from tests.serve.benchmark.charts import charts

X, Y = Axis("x", "log"), Axis("y")
HOSTILE = "</script><script>alert(1)</script><img src=x onerror='alert(1)'>"


def test_what_is_hostile_stays_text():
    points = [Point(1, 1, HOSTILE), Point(2, 2)]
    series = [Series(HOSTILE, points), Series("b", points)]
    body = chart(HOSTILE, X, Y, series) + strips(HOSTILE, X, [Sample(HOSTILE, [1.0], HOSTILE)])
    parts = lead(HOSTILE), warning(HOSTILE), section(HOSTILE, table(Rows([HOSTILE], [[HOSTILE]])))
    html = document(HOSTILE, {HOSTILE: HOSTILE}, body + "".join(parts))
    assert "alert(1)</script>" not in html
    assert "<img" not in html
    (_, drawn), (_, strip) = charts(html)
    assert drawn["series"][0]["name"] == strip["samples"][0]["name"] == HOSTILE
    assert drawn["series"][0]["points"][0]["said"] == HOSTILE


@pytest.mark.parametrize("points", [[], [Point(1, 1)], [Point(1, 1), Point(1, 1, "again")]])
def test_fewer_than_two_places_are_no_chart(points):
    guide = Series("guide", [Point(1, 1), Point(9, 9)], "dashed")
    assert chart("title", X, Y, [Series("a", points), guide]) == ""
    assert bars("title", X, [Bar("a", 1.0, "1")]) == strips("title", X, []) == ""
    assert side_by_side("", "") == section("title", "", "") == ""


def test_a_page_without_charts_has_no_scripts():
    html = document("title", {}, lead("done"))
    assert "<script" not in html
    assert "script-src 'none'" in html
    assert len(html) < 10_000


def test_every_series_has_a_colour_of_its_own_or_the_next_free_one():
    some = [Point(1, 1), Point(2, 2)]
    series = [Series("a", some), Series("b", some, tone="fitted"), Series("c", some)]
    ((_, data),) = charts(document("t", {}, chart("title", X, Y, series)))
    assert [one["tone"] for one in data["series"]] == ["series-1", "fitted", "series-2"]


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=2000))
def test_a_distribution_is_thinned_but_keeps_its_ends_and_order(values):
    ((_, data),) = charts(strips("title", X, [Sample("a", values, "")]))
    (sample,) = data["samples"]
    drawn = sample["values"]
    assert len(drawn) == min(len(values), 400)
    assert drawn == sorted(drawn)
    assert (drawn[0], drawn[-1]) == (min(values), max(values))
    assert drawn[0] <= sample["p50"] <= sample["p95"] <= drawn[-1]


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        bars("title", X, [Bar("a", float("nan"), "?"), Bar("b", 1.0, "1")])
