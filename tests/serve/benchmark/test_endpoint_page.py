"""The page of an endpoint."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from serve.benchmark.endpoint_load.load_cells import recommend
from serve.benchmark.endpoint_load.page import endpoint_page
from serve.benchmark.endpoint_load.record import Asked
from tests.serve.benchmark.loads import cell, open_cell
from tests.serve.benchmark.test_record import found, interactive

GRID = [cell(batch, at, 10.0 * batch * at, 5.0 * at) for batch in (1, 4) for at in (1, 4, 16)]


def test_the_page_stands_alone_and_shows_what_is_recommended():
    one = replace(found(GRID, interactive()), asked=Asked(latency_target_ms=60.0))
    html = endpoint_page(one)
    HTMLParser().feed(html)
    assert not re.search(r"(src|href)=", html)
    assert html.count("<svg") == 2
    assert html.count("recommended 4 x 16") == 2
    assert "target 60 ms" in html
    assert "<td>screenshot</td>" in html
    assert "0.85 of that alone" in html


@pytest.mark.parametrize("cells", [GRID, GRID[:1], [open_cell(1), open_cell(4)]])
def test_every_mark_lies_inside_its_chart(cells):
    html = endpoint_page(found(cells))
    marks = re.findall(r"cx='([\d.-]+)' cy='([\d.-]+)'", html)
    assert len(marks) == 2 * len(cells)
    for x, y in marks:
        assert 0 <= float(x) <= 460
        assert 0 <= float(y) <= 300


def test_an_interrupted_one_is_marked_even_when_it_is_empty():
    assert "interrupted: partial" in endpoint_page(found([], complete=False))
    partial = [cell(1, 1, complete=False)]
    assert "<td>100.0*</td>" in endpoint_page(found(partial, complete=False))


def test_failures_are_named_by_their_code():
    cells = [cell(1, 1, failed={"fetch_dns": 2}), cell(4, 1, errors={"overloaded": 3})]
    html = endpoint_page(replace(found(cells), choice=recommend(cells)))
    assert "failed items: fetch_dns 2" in html
    assert "requests without an answer: overloaded 3" in html
