"""The page of an endpoint."""

from dataclasses import replace

from serve.benchmark.endpoint_load.load_cells import recommend
from serve.benchmark.endpoint_load.page import endpoint_page
from serve.benchmark.endpoint_load.record import Asked
from tests.serve.benchmark.charts import charts
from tests.serve.benchmark.loads import cell, open_cell
from tests.serve.benchmark.test_record import found, interactive

GRID = [cell(batch, at, 10.0 * batch * at, 5.0 * at) for batch in (1, 4) for at in (1, 4, 16)]


def test_the_page_stands_alone_and_shows_what_is_recommended():
    one = replace(found(GRID, interactive()), asked=Asked(latency_target_ms=60.0))
    html = endpoint_page(one)
    trade, throughput, singles, bulk = (data for _, data in charts(html))
    assert [rule["label"] for rule in trade["rules"]] == ["target 60 ms"]
    assert trade["series"][-1]["name"] == "recommended 4 x 16"
    assert throughput["rules"][0]["label"] == "recommended 4 x 16"
    assert [one["name"] for one in singles["samples"]] == [
        "text alone", "text beside bulk", "screenshot alone", "screenshot beside bulk",
    ]  # fmt: skip
    assert [one["shown"] for one in bulk["bars"]] == ["100.0", "85.0"]
    assert "<td>screenshot</td>" in html
    assert "0.85 of that alone" in html


def test_the_best_trade_offs_and_the_numbers_of_each_point_are_shown():
    cells = [cell(1, 1, 10.0, 5.0), cell(1, 4, 30.0, 20.0), cell(4, 1, 20.0, 30.0)]
    trade = charts(endpoint_page(found(cells)))[0][1]
    points = {one["name"]: one["points"] for one in trade["series"]}
    assert [(one["x"], one["y"]) for one in points["best trade-offs"]] == [(10, 5), (30, 20)]
    (point,) = points["4 images"]
    assert point["said"].startswith("4 images a request, 1 request at once\n20.0 items/s")
    assert (point["low"], point["high"]) == (30.0, 30.0)


def test_with_one_concurrency_the_size_is_the_axis():
    cells = [open_cell(1, 10.0), open_cell(4, 20.0)]
    data = charts(endpoint_page(found(cells)))[1][1]
    assert data["x"]["label"] == "images a request"
    assert [(one["name"], len(one["points"])) for one in data["series"]] == [("4 requests/s", 2)]


def test_one_combination_is_a_sentence():
    html = endpoint_page(found(GRID[:1]))
    assert charts(html) == []
    assert "nothing to compare it with" in html


def test_a_combination_without_answers_is_no_point_of_latency():
    cells = [*GRID, cell(64, 1, 0.0, requests=0)]
    trade, throughput = (data for _, data in charts(endpoint_page(found(cells))))
    assert "64 images" not in [one["name"] for one in trade["series"]]
    assert "64 images" in [one["name"] for one in throughput["series"]]


def test_an_interrupted_one_is_marked_even_when_it_is_empty():
    assert "Interrupted: partial" in endpoint_page(found([], complete=False))
    partial = [cell(1, 1, complete=False)]
    assert "<td>100.0*</td>" in endpoint_page(found(partial, complete=False))


def test_failures_are_named_by_their_code():
    cells = [cell(1, 1, failed={"fetch_dns": 2}), cell(4, 1, errors={"overloaded": 3})]
    html = endpoint_page(replace(found(cells), choice=recommend(cells)))
    assert "Failed items: fetch_dns 2" in html
    assert "Requests without an answer: overloaded 3" in html
